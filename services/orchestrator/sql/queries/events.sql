-- name: next_seq
-- The caller holds the job's row lock.
UPDATE jobs SET seq = seq + 1 WHERE job_id = %(job_id)s RETURNING seq;

-- name: insert_event
INSERT INTO job_events (job_id, seq, type, stage, payload, source_key)
VALUES (%(job_id)s, %(seq)s, %(type)s, %(stage)s, %(payload)s, %(source_key)s);

-- name: has_event
SELECT 1 FROM job_events WHERE job_id = %(job_id)s AND source_key = %(source_key)s;

-- name: events_after
SELECT seq, type, stage, payload, at FROM job_events
WHERE job_id = %(job_id)s AND seq > %(seq)s ORDER BY seq LIMIT %(limit)s;

-- name: logs_after
-- Log lines of a job in order; quietly, those alone that are no noise.
SELECT seq, stage, payload, at FROM job_events
WHERE job_id = %(job_id)s AND seq > %(seq)s AND type = 'log'
  AND NOT (%(quiet)s AND coalesce((payload ->> 'is_noisy')::boolean, false))
ORDER BY seq LIMIT %(limit)s;

-- name: forget_log_lines
DELETE FROM job_events WHERE (job_id, seq) IN (
    SELECT job_id, seq FROM job_events
    WHERE type = 'log' AND at < now() - make_interval(secs => %(older_than_days)s * 86400)
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
);

-- name: forget_last_words
UPDATE attempts SET log_tail = '[]'
WHERE log_tail <> '[]' AND closed_at < now() - make_interval(secs => %(older_than_days)s * 86400);
