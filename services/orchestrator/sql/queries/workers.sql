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

-- name: workers_of_route
-- Those that serve it or are about to stop, and refusals of the last hour, the newest first.
SELECT state, heartbeat ->> 'reason' AS reason FROM workers
WHERE stage = %(stage)s
  AND CASE state WHEN 'refused' THEN heartbeat ->> 'requested_provider' ELSE effective_provider END = %(provider)s
  AND last_seen_at > now() - make_interval(secs => CASE state WHEN 'refused' THEN 3600 ELSE %(expiry_s)s END)
ORDER BY last_seen_at DESC;

-- name: live_routes
SELECT DISTINCT stage, effective_provider FROM workers
WHERE state IN ('ready', 'busy') AND last_seen_at > now() - make_interval(secs => %(expiry_s)s);

-- name: prune_workers
DELETE FROM workers WHERE last_seen_at < now() - interval '1 day';
