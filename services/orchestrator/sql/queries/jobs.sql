-- name: insert_job
INSERT INTO jobs (job_id, episode_uid, kind, state, profile, requested_device, allow_cpu_fallback,
                  submitted_by, warnings, request, force, execution_mode, execution_place,
                  idempotency_key, retry_of, resume_of)
VALUES (%(job_id)s, %(episode_uid)s, %(kind)s, 'waiting', %(profile)s, %(requested_device)s,
        %(allow_cpu_fallback)s, %(submitted_by)s, %(warnings)s, %(request)s, %(force)s,
        %(execution_mode)s, %(execution_place)s, %(idempotency_key)s, %(retry_of)s, %(resume_of)s)
RETURNING *;

-- name: job_by_key
SELECT job_id, request, retry_of, resume_of FROM jobs WHERE idempotency_key = %(idempotency_key)s;

-- name: insert_stage_run
INSERT INTO stage_runs (run_id, job_id, episode_uid, stage, position, state, provider, config, models,
                        algorithm_version)
VALUES (%(run_id)s, %(job_id)s, %(episode_uid)s, %(stage)s, %(position)s, 'waiting', %(provider)s,
        %(config)s, %(models)s, %(algorithm_version)s)
RETURNING *;

-- name: active_run
-- Which job holds the one active run of a stage.
SELECT job_id, run_id FROM stage_runs
WHERE episode_uid = %(episode_uid)s AND stage = ANY(%(stages)s) AND state IN ('waiting', 'queued', 'running')
LIMIT 1;

-- name: get_job
SELECT j.*, e.ep_id FROM jobs j JOIN episodes e USING (episode_uid)
WHERE job_id = %(job_id)s AND e.trashed_at IS NULL;

-- name: job_with_runs
-- A job as the API shows it, whole.
SELECT j.*, e.ep_id, e.media_info, shown.runs
FROM jobs j
JOIN episodes e USING (episode_uid)
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(to_jsonb(run) ORDER BY run.position), '[]') AS runs
    FROM shown_runs run WHERE run.job_id = j.job_id
) shown
WHERE j.job_id = %(job_id)s AND e.trashed_at IS NULL;

-- name: jobs_with_runs
-- The newest jobs that fit, after one of them, as the API shows them: only of those that are shown are the runs looked at.
SELECT j.*, shown.runs
FROM (
    SELECT j.*, e.ep_id, e.media_info
    FROM jobs j
    JOIN episodes e USING (episode_uid)
    WHERE e.trashed_at IS NULL
      AND (%(ep_id)s::text IS NULL OR e.ep_id = %(ep_id)s)
      AND (NOT %(active)s OR j.state IN ('waiting', 'queued', 'running'))
      AND (%(stage)s::text IS NULL OR EXISTS (
          SELECT 1 FROM stage_runs r
          WHERE r.job_id = j.job_id AND r.stage = %(stage)s
            AND (NOT %(active)s OR r.state IN ('waiting', 'queued', 'running'))))
      AND (%(after_id)s::text IS NULL OR (j.created_at, j.job_id) < (%(after_at)s::timestamptz, %(after_id)s))
    ORDER BY j.created_at DESC, j.job_id DESC LIMIT %(limit)s
) j
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(to_jsonb(run) ORDER BY run.position), '[]') AS runs
    FROM shown_runs run WHERE run.job_id = j.job_id
) shown
ORDER BY j.created_at DESC, j.job_id DESC;

-- name: job_state
SELECT state FROM jobs WHERE job_id = %(job_id)s;

-- name: lock_job
-- Every change of a job's rows begins here: job first, then stage run.
SELECT j.*, e.ep_id FROM jobs j JOIN episodes e USING (episode_uid)
WHERE job_id = %(job_id)s FOR UPDATE OF j;

-- name: lock_job_of_task
SELECT j.*, e.ep_id, extract(epoch FROM now() - j.created_at)::float8 AS age_s FROM jobs j JOIN episodes e USING (episode_uid)
WHERE job_id = (SELECT t.job_id FROM tasks t WHERE t.task_id = %(task_id)s) FOR UPDATE OF j;

-- name: lock_run_of_task
SELECT * FROM stage_runs
WHERE run_id = (SELECT t.run_id FROM tasks t WHERE t.task_id = %(task_id)s) FOR UPDATE;

-- name: lock_run
SELECT * FROM stage_runs WHERE run_id = %(run_id)s FOR UPDATE;

-- name: runs_of_job
SELECT * FROM stage_runs WHERE job_id = %(job_id)s ORDER BY position;

-- name: move_job
UPDATE jobs SET
    state = %(state)s,
    error_code = coalesce(%(error_code)s, error_code),
    error_message = coalesce(%(error_message)s, error_message),
    started_at = CASE WHEN %(state)s = 'running' THEN now() ELSE started_at END,
    finished_at = CASE WHEN %(state)s IN ('succeeded', 'failed', 'cancelled') THEN now() END
WHERE job_id = %(job_id)s;

-- name: move_run
UPDATE stage_runs SET
    state = %(state)s,
    error_code = coalesce(%(error_code)s, error_code),
    error_message = coalesce(%(error_message)s, error_message),
    skip_reason = %(skip_reason)s,
    queued_at = CASE WHEN %(state)s = 'queued' OR (%(state)s = 'succeeded' AND queued_at IS NULL)
                     THEN now() ELSE queued_at END,
    started_at = CASE WHEN %(state)s = 'running' THEN now() ELSE started_at END,
    finished_at = CASE WHEN %(state)s IN ('succeeded', 'failed', 'cancelled', 'skipped') THEN now() END
WHERE run_id = %(run_id)s;

-- name: set_fingerprint
UPDATE stage_runs SET fingerprint = %(fingerprint)s WHERE run_id = %(run_id)s;

-- name: record_run_outcome
-- Counts of all tasks summed, and where they ran.
UPDATE stage_runs r SET
    counts = %(counts)s,
    zero_rows = %(zero_rows)s,
    resolved_device = r.executions -> -1 ->> 'resolved_device'
WHERE run_id = %(run_id)s;

-- name: equal_runs
-- Finished runs that worked from the same facts, each with a result of its own, newest first.
SELECT * FROM stage_runs
WHERE episode_uid = %(episode_uid)s AND stage = %(stage)s AND fingerprint = %(fingerprint)s
  AND state = 'succeeded' AND reused_run_id IS NULL
ORDER BY finished_at DESC LIMIT %(limit)s;

-- name: run_by_fingerprint
SELECT * FROM stage_runs
WHERE job_id = %(job_id)s AND stage = %(stage)s AND fingerprint = %(fingerprint)s;

-- name: take_over_outcome
-- Another run's result is this one's too, with where and how it was made.
UPDATE stage_runs r SET
    reused_run_id = s.run_id, counts = s.counts, zero_rows = s.zero_rows, resolved_device = s.resolved_device,
    warnings = s.warnings, executions = s.executions
FROM stage_runs s WHERE r.run_id = %(run_id)s AND s.run_id = %(source_run_id)s;

-- name: take_over_executions
UPDATE stage_runs r SET warnings = s.warnings, executions = s.executions
FROM stage_runs s WHERE r.run_id = %(run_id)s AND s.run_id = %(source_run_id)s;

-- name: append_execution
UPDATE stage_runs SET
    executions = executions || %(execution)s::jsonb,
    warnings = warnings || %(warnings)s::jsonb
WHERE run_id = %(run_id)s;

-- name: current_runs
-- The newest successful run of each stage of an episode.
SELECT DISTINCT ON (stage) * FROM stage_runs
WHERE episode_uid = %(episode_uid)s AND state = 'succeeded'
ORDER BY stage, finished_at DESC;

-- name: latest_runs
-- The newest run of each stage, whatever became of it, and when its work was done, were it for an earlier run;
-- runs that never left `waiting` are not runs yet.
SELECT DISTINCT ON (r.stage) r.*, s.started_at AS made_from, s.finished_at AS made_until
FROM stage_runs r
JOIN stage_runs s ON s.run_id = coalesce(r.reused_run_id, r.run_id)
WHERE r.episode_uid = %(episode_uid)s AND r.state <> 'skipped'
ORDER BY r.stage, coalesce(r.queued_at, 'epoch') DESC, r.run_id DESC;

-- name: request_cancel
UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, now()) WHERE job_id = %(job_id)s;

-- name: jobs_to_silence
-- Jobs that have just ended, whose tasks may still stand in the queue, and those of which some worker has
-- not let go yet: one that was heard lately, or one that may only be out of reach.
SELECT job_id FROM jobs
WHERE state IN ('failed', 'cancelled') AND finished_at > now() - interval '5 seconds'
UNION
SELECT a.job_id FROM attempts a
JOIN jobs j USING (job_id)
LEFT JOIN workers w USING (worker_id)
WHERE a.state = 'open' AND j.state IN ('failed', 'cancelled')
  AND (j.finished_at > now() - interval '10 minutes'
       OR w.last_seen_at > now() - make_interval(secs => %(worker_expiry_s)s));

-- name: runs_without_marker
SELECT r.*, e.ep_id, j.requested_device, j.execution_mode, j.execution_place,
       s.started_at AS made_from, s.finished_at AS made_until
FROM stage_runs r
JOIN jobs j USING (job_id)
JOIN episodes e ON e.episode_uid = r.episode_uid
JOIN stage_runs s ON s.run_id = coalesce(r.reused_run_id, r.run_id)
WHERE r.state = 'succeeded' AND r.marker_written_at IS NULL
ORDER BY r.finished_at LIMIT 100;

-- name: marker_written
UPDATE stage_runs SET marker_written_at = now() WHERE run_id = %(run_id)s;

-- name: overdue_queued_runs
-- Runs that no worker took in time, for want of one.
SELECT r.run_id, r.job_id, r.stage, r.provider FROM stage_runs r
WHERE r.state = 'queued' AND r.queued_at < now() - make_interval(secs => %(queue_timeout_s)s)
  AND NOT EXISTS (
      SELECT 1 FROM workers w WHERE w.stage = r.stage AND w.effective_provider = r.provider
        AND w.state <> 'refused' AND w.last_seen_at > now() - make_interval(secs => %(worker_expiry_s)s));
