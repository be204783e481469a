-- name: put_outbox
INSERT INTO outbox (subject, payload) VALUES (%(subject)s, %(payload)s);

-- name: take_outbox
-- Rows another replica is sending are skipped.
SELECT outbox_id, subject, payload FROM outbox WHERE sent_at IS NULL
ORDER BY outbox_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED;

-- name: mark_sent
UPDATE outbox SET sent_at = now() WHERE outbox_id = ANY(%(outbox_ids)s);

-- name: prune_outbox
DELETE FROM outbox WHERE sent_at < now() - interval '1 day';
