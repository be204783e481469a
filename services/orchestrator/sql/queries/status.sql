-- name: last_asked_runs
-- The newest run of each stage that was asked for and not withdrawn: its parameters are those that are wanted.
SELECT DISTINCT ON (stage) * FROM stage_runs
WHERE episode_uid = %(episode_uid)s AND state NOT IN ('skipped', 'cancelled')
ORDER BY stage, run_id DESC;

-- name: devices_of_jobs
SELECT job_id, requested_device FROM jobs WHERE job_id = ANY(%(job_ids)s);

-- name: last_execution
-- What the submitter of the newest job that told chose.
SELECT execution_mode, execution_place FROM jobs
WHERE episode_uid = %(episode_uid)s AND execution_mode IS NOT NULL
ORDER BY created_at DESC LIMIT 1;
