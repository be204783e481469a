-- name: upsert_worker
INSERT INTO workers (worker_id, stage, state, effective_provider, heartbeat)
VALUES (%(worker_id)s, %(stage)s, %(state)s, %(effective_provider)s, %(heartbeat)s)
ON CONFLICT (worker_id) DO UPDATE SET
    state = excluded.state,
    effective_provider = excluded.effective_provider,
    heartbeat = excluded.heartbeat,
    last_seen_at = now();

-- name: list_workers
-- Live workers, and refusals of the last hour.
SELECT * FROM workers
WHERE last_seen_at > now() - make_interval(secs => CASE state WHEN 'refused' THEN 3600 ELSE %(expiry_s)s END)
ORDER BY stage, worker_id;

-- name: queue_of_run
-- Workers of its route: those that serve it or are about to stop, and refusals of the last hour, the newest first;
-- and how many tasks of other jobs, which nobody has taken, have waited longer for them.
SELECT (
    SELECT coalesce(jsonb_agg(jsonb_build_object('state', state, 'reason', heartbeat ->> 'reason')
                              ORDER BY last_seen_at DESC), '[]')
    FROM workers
    WHERE stage = %(stage)s
      AND CASE state WHEN 'refused' THEN heartbeat ->> 'requested_provider' ELSE effective_provider END
          = %(provider)s
      AND last_seen_at
          > now() - make_interval(secs => CASE state WHEN 'refused' THEN 3600 ELSE %(expiry_s)s END)
) AS workers, (
    SELECT count(*) FROM tasks t JOIN stage_runs r USING (run_id)
    WHERE t.state = 'live' AND t.claimed_at IS NULL AND t.job_id <> %(job_id)s
      AND r.stage = %(stage)s AND r.provider = %(provider)s
      AND t.created_at < (SELECT min(created_at) FROM tasks WHERE run_id = %(run_id)s AND state = 'live')
) AS ahead;

-- name: live_routes
SELECT DISTINCT stage, effective_provider FROM workers
WHERE state IN ('ready', 'busy') AND last_seen_at > now() - make_interval(secs => %(expiry_s)s);

-- name: prune_workers
DELETE FROM workers WHERE last_seen_at < now() - interval '1 day';
