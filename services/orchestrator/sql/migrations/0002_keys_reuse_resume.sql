-- Jobs that are asked for once however often it is said, results that are used again, jobs that go on.

ALTER TABLE jobs
    ADD COLUMN request jsonb,          -- as it was submitted; `retry` and `resume` ask for it again
    ADD COLUMN idempotency_key text,
    ADD COLUMN force boolean NOT NULL DEFAULT false,
    ADD COLUMN retry_of text REFERENCES jobs,
    ADD COLUMN resume_of text REFERENCES jobs;
CREATE UNIQUE INDEX jobs_idempotency_key ON jobs (idempotency_key);

-- The run whose result this one is; never itself a run that reused another's.
ALTER TABLE stage_runs ADD COLUMN reused_run_id text REFERENCES stage_runs;
CREATE INDEX stage_runs_by_fingerprint ON stage_runs (episode_uid, stage, fingerprint)
    WHERE state = 'succeeded';
INSERT INTO lifecycle_moves (from_state, to_state) VALUES ('waiting', 'succeeded');

-- Whoever tells workers to let go need not look for ended jobs.
CREATE INDEX jobs_lately_ended ON jobs (finished_at) WHERE state IN ('failed', 'cancelled');
CREATE FUNCTION notify_job_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('job_ended', NEW.job_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_ended_notify AFTER UPDATE OF state ON jobs
    FOR EACH ROW WHEN (NEW.state IN ('failed', 'cancelled')) EXECUTE FUNCTION notify_job_ended();

-- Log lines of one job in order, and old ones of all jobs.
CREATE INDEX job_events_logs ON job_events (job_id, seq) WHERE type = 'log';
CREATE INDEX job_events_old_logs ON job_events (at) WHERE type = 'log';
