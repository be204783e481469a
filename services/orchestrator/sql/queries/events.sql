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
