-- Episodes, jobs, stage runs, tasks, attempts, artifacts, events, the outbox and the worker registry.

-- The moves that a job or a stage run may make; equal to lifecycle.py, and enforced by refuse_illegal_move.
CREATE TABLE lifecycle_moves (
    from_state text NOT NULL,
    to_state text NOT NULL,
    PRIMARY KEY (from_state, to_state)
);
INSERT INTO lifecycle_moves (from_state, to_state) VALUES
    ('waiting', 'queued'),
    ('waiting', 'skipped'),
    ('waiting', 'failed'),
    ('waiting', 'cancelled'),
    ('queued', 'running'),
    ('queued', 'failed'),
    ('queued', 'cancelled'),
    ('running', 'succeeded'),
    ('running', 'failed'),
    ('running', 'cancelled');

CREATE FUNCTION refuse_illegal_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT EXISTS (
        SELECT 1 FROM lifecycle_moves WHERE from_state = OLD.state AND to_state = NEW.state
    ) THEN
        RAISE EXCEPTION 'illegal move of % from % to %', TG_TABLE_NAME, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TABLE episodes (
    episode_uid text PRIMARY KEY,
    ep_id text NOT NULL CHECK (ep_id ~ '^[a-z0-9][a-z0-9._-]{0,127}$'),
    filename text NOT NULL,
    media_uri text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    container text NOT NULL,
    media_info jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    superseded_at timestamptz
);
-- One episode answers to a name at a time; a replaced upload keeps its row and its uid.
CREATE UNIQUE INDEX episodes_one_current ON episodes (ep_id) WHERE superseded_at IS NULL;

CREATE TABLE jobs (
    job_id text PRIMARY KEY,
    episode_uid text NOT NULL REFERENCES episodes,
    kind text NOT NULL CHECK (kind IN ('pipeline', 'detect_track', 'faces_embed', 'cluster')),
    state text NOT NULL CHECK (state IN ('waiting', 'queued', 'running', 'succeeded', 'failed', 'cancelled')),
    profile text NOT NULL,
    requested_device text NOT NULL CHECK (requested_device IN ('cuda', 'cpu')),
    allow_cpu_fallback boolean NOT NULL,
    submitted_by text NOT NULL,
    warnings jsonb NOT NULL DEFAULT '[]',
    error_code text,
    error_message text,
    seq bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    cancel_requested_at timestamptz
);
CREATE INDEX jobs_of_episode ON jobs (episode_uid, created_at DESC);
CREATE TRIGGER jobs_move BEFORE UPDATE OF state ON jobs
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move();

CREATE TABLE stage_runs (
    run_id text PRIMARY KEY,
    job_id text NOT NULL REFERENCES jobs,
    episode_uid text NOT NULL REFERENCES episodes,
    stage text NOT NULL CHECK (stage IN ('detect_track', 'faces_embed', 'cluster')),
    position integer NOT NULL,
    state text NOT NULL
        CHECK (state IN ('waiting', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
    provider text NOT NULL CHECK (provider IN ('cuda', 'cpu')),
    resolved_device text,
    config jsonb NOT NULL,
    models jsonb NOT NULL,
    algorithm_version integer NOT NULL,
    fingerprint text,
    counts jsonb NOT NULL DEFAULT '{}',
    zero_rows boolean,
    skip_reason text,
    warnings jsonb NOT NULL DEFAULT '[]',
    executions jsonb NOT NULL DEFAULT '[]',
    error_code text,
    error_message text,
    queued_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    marker_written_at timestamptz,
    UNIQUE (job_id, position)
);
-- One active run of a stage per episode, whoever asks and however many replicas answer.
CREATE UNIQUE INDEX stage_runs_one_active ON stage_runs (episode_uid, stage)
    WHERE state IN ('waiting', 'queued', 'running');
CREATE INDEX stage_runs_of_episode ON stage_runs (episode_uid, stage, finished_at DESC);
CREATE TRIGGER stage_runs_move BEFORE UPDATE OF state ON stage_runs
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move();

CREATE TABLE tasks (
    task_id text PRIMARY KEY,
    run_id text NOT NULL REFERENCES stage_runs,
    job_id text NOT NULL REFERENCES jobs,
    kind text NOT NULL CHECK (kind IN ('plan', 'segment', 'stitch', 'whole')),
    ordinal integer NOT NULL,
    state text NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'done', 'dead', 'cancelled')),
    message jsonb NOT NULL,
    generation integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL,
    attempt_id text,
    counts jsonb NOT NULL DEFAULT '{}',
    progress jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    claimed_at timestamptz,
    finished_at timestamptz,
    UNIQUE (run_id, kind, ordinal)
);
CREATE INDEX tasks_live ON tasks (created_at) WHERE state = 'live';

CREATE TABLE attempts (
    attempt_id text PRIMARY KEY,
    task_id text NOT NULL REFERENCES tasks,
    job_id text NOT NULL REFERENCES jobs,
    generation integer NOT NULL,
    worker_id text NOT NULL,
    state text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'succeeded', 'rejected', 'retry', 'handed_back', 'fenced')),
    error_message text,
    log_tail jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz
);
CREATE INDEX attempts_of_task ON attempts (task_id);
CREATE INDEX attempts_open ON attempts (job_id) WHERE state = 'open';

CREATE TABLE artifacts (
    run_id text NOT NULL REFERENCES stage_runs,
    task_id text NOT NULL REFERENCES tasks,
    attempt_id text NOT NULL REFERENCES attempts,
    kind text NOT NULL,
    uri text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    rows bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (task_id, kind)
);
CREATE INDEX artifacts_of_run ON artifacts (run_id, kind);

-- State changes and log lines of a job, numbered under its row lock: the ids of its event stream.
CREATE TABLE job_events (
    job_id text NOT NULL REFERENCES jobs,
    seq bigint NOT NULL,
    type text NOT NULL CHECK (type IN ('state', 'log')),
    stage text,
    payload jsonb NOT NULL,
    source_key text,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, seq)
);
-- A log line that the broker delivers twice is kept once.
CREATE UNIQUE INDEX job_events_once ON job_events (job_id, source_key) WHERE source_key IS NOT NULL;

CREATE TABLE outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz
);
CREATE INDEX outbox_unsent ON outbox (outbox_id) WHERE sent_at IS NULL;

CREATE TABLE workers (
    worker_id text PRIMARY KEY,
    stage text NOT NULL,
    state text NOT NULL,
    effective_provider text NOT NULL,
    heartbeat jsonb NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER outbox_notify AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox();

CREATE FUNCTION notify_job_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('job_events', NEW.job_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER job_events_notify AFTER INSERT ON job_events
    FOR EACH ROW EXECUTE FUNCTION notify_job_event();
