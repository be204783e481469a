-- name: count_live_tasks
-- A live task without an open attempt waits for a worker, for the first time or again.
SELECT r.stage, r.provider,
       count(*) FILTER (WHERE a.attempt_id IS NULL) AS queued,
       count(a.attempt_id) AS in_work,
       coalesce(max(extract(epoch FROM now() - t.created_at)) FILTER (WHERE a.attempt_id IS NULL), 0)::float8
           AS oldest_queued_s
FROM tasks t
JOIN stage_runs r USING (run_id)
LEFT JOIN attempts a ON a.attempt_id = t.attempt_id AND a.state = 'open'
WHERE t.state = 'live'
GROUP BY r.stage, r.provider;

-- name: measure_outbox
SELECT count(*) AS rows, coalesce(max(extract(epoch FROM now() - created_at)), 0)::float8 AS oldest_s
FROM outbox WHERE sent_at IS NULL;

-- name: count_dead_letters
SELECT r.stage, count(*) AS letters
FROM dead_letters d JOIN tasks t USING (task_id) JOIN stage_runs r USING (run_id)
GROUP BY r.stage;

-- name: count_recent_runs
SELECT stage, CASE WHEN zero_rows THEN 'zero_rows' ELSE state END AS outcome, count(*) AS runs
FROM stage_runs
WHERE finished_at > now() - make_interval(secs => %(window_s)s) AND state IN ('succeeded', 'failed', 'cancelled')
GROUP BY 1, 2;
