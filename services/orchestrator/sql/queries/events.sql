-- name: append_event
-- Numbered under the job's row lock, which the update takes; a line that is there already takes no number.
WITH numbered AS (
    UPDATE jobs SET seq = seq + 1
    WHERE job_id = %(job_id)s AND NOT EXISTS (
        SELECT 1 FROM job_events WHERE job_id = %(job_id)s AND source_key = %(source_key)s::text)
    RETURNING seq
)
INSERT INTO job_events (job_id, seq, type, stage, payload, source_key)
SELECT %(job_id)s, seq, %(type)s, %(stage)s, %(payload)s, %(source_key)s FROM numbered;

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
)
RETURNING seq;

-- name: forget_last_words
UPDATE attempts SET log_tail = '[]'
WHERE log_tail <> '[]' AND closed_at < now() - make_interval(secs => %(older_than_days)s * 86400);
