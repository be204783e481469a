-- Stage runs with what the API shows of their tasks and workers, apart from the query that chooses the jobs:
-- one that looks a job up by its id must not be planned like one that looks through all of them.
CREATE VIEW shown_runs AS
SELECT r.job_id, r.run_id, r.stage, r.position, r.state, r.provider, r.resolved_device, r.skip_reason, r.counts,
       r.zero_rows, r.warnings, r.fingerprint, r.reused_run_id, r.error_code, r.error_message,
       r.queued_at, r.started_at, r.finished_at,
       round(extract(epoch FROM r.finished_at - r.started_at), 3) AS runtime_s,
       (
           SELECT extract(epoch FROM now() - max(w.last_seen_at))::float8 FROM workers w
           WHERE w.stage = r.stage AND w.effective_provider = r.provider AND w.state IN ('ready', 'busy')
       ) AS worker_silent_s,
       (
           SELECT coalesce(jsonb_agg(jsonb_build_object(
               'kind', t.kind, 'ordinal', t.ordinal, 'state', t.state, 'progress', t.progress,
               'segment', t.message -> 'segment'
           ) ORDER BY t.kind, t.ordinal), '[]')
           FROM tasks t WHERE t.run_id = r.run_id
       ) AS tasks
FROM stage_runs r;
