-- name: insert_job
INSERT INTO jobs (job_id, episode_uid, kind, state, profile, requested_device, allow_cpu_fallback,
                  submitted_by, warnings)
VALUES (%(job_id)s, %(episode_uid)s, %(kind)s, 'waiting', %(profile)s, %(requested_device)s,
        %(allow_cpu_fallback)s, %(submitted_by)s, %(warnings)s)
RETURNING *;

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
SELECT j.*, e.ep_id FROM jobs j JOIN episodes e USING (episode_uid) WHERE job_id = %(job_id)s;

-- name: list_jobs
SELECT DISTINCT j.*, e.ep_id FROM jobs j
JOIN episodes e USING (episode_uid)
LEFT JOIN stage_runs r USING (job_id)
WHERE (%(ep_id)s::text IS NULL OR e.ep_id = %(ep_id)s)
  AND (%(stage)s::text IS NULL OR r.stage = %(stage)s)
  AND (NOT %(active)s OR j.state IN ('waiting', 'queued', 'running'))
  AND (NOT %(active)s OR %(stage)s::text IS NULL OR r.state IN ('waiting', 'queued', 'running'))
ORDER BY j.created_at DESC LIMIT %(limit)s;

-- name: lock_job
-- Every change of a job's rows begins here: job first, then stage run.
SELECT j.*, e.ep_id FROM jobs j JOIN episodes e USING (episode_uid)
WHERE job_id = %(job_id)s FOR UPDATE OF j;

-- name: lock_run
SELECT * FROM stage_runs WHERE run_id = %(run_id)s FOR UPDATE;

-- name: runs_of_job
SELECT * FROM stage_runs WHERE job_id = %(job_id)s ORDER BY position;

-- name: runs_of_jobs
SELECT * FROM stage_runs WHERE job_id = ANY(%(job_ids)s) ORDER BY job_id, position;

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
    queued_at = CASE WHEN %(state)s = 'queued' THEN now() ELSE queued_at END,
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
-- The newest run of each stage, whatever became of it; runs that never left `waiting` are not runs yet.
SELECT DISTINCT ON (stage) * FROM stage_runs
WHERE episode_uid = %(episode_uid)s AND state <> 'skipped'
ORDER BY stage, coalesce(queued_at, 'epoch') DESC, run_id DESC;

-- name: request_cancel
UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, now()) WHERE job_id = %(job_id)s;

-- name: jobs_to_silence
-- Jobs that have just ended, whose tasks may still stand in the queue, and those of which some worker has
-- not let go yet.
SELECT j.job_id FROM jobs j
WHERE j.state IN ('cancelled', 'failed')
  AND (j.finished_at > now() - interval '5 seconds'
       OR j.finished_at > now() - interval '10 minutes'
          AND EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = j.job_id AND a.state = 'open'));

-- name: runs_without_marker
SELECT r.*, e.ep_id, j.requested_device, j.execution_mode, j.execution_place FROM stage_runs r
JOIN jobs j USING (job_id)
JOIN episodes e ON e.episode_uid = r.episode_uid
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
