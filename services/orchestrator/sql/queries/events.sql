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
