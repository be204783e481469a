-- name: announce_of_job
-- An event for every webhook that asks for its type, in the transaction of what it tells; nothing without one.
WITH told AS (
    SELECT webhook_id FROM webhooks
    WHERE disabled_at IS NULL AND (event_types = '{}' OR %(type)s = ANY(event_types)) FOR KEY SHARE
), event AS (
    INSERT INTO webhook_events (event_id, type, subject, episode_uid, data)
    SELECT %(event_id)s, %(type)s, %(subject)s, e.episode_uid,
           jsonb_build_object('job_id', j.job_id, 'kind', j.kind, 'ep_id', e.ep_id,
                              'episode_uid', e.episode_uid, 'state', j.state,
                              'error_code', j.error_code) || %(more)s::jsonb
    FROM jobs j JOIN episodes e USING (episode_uid)
    WHERE j.job_id = %(job_id)s AND EXISTS (SELECT 1 FROM told)
    RETURNING event_id
)
INSERT INTO webhook_deliveries (delivery_id, webhook_id, event_id)
SELECT gen_random_uuid(), webhook_id, event_id FROM told, event;

-- name: announce_of_episode
WITH told AS (
    SELECT webhook_id FROM webhooks
    WHERE disabled_at IS NULL AND (event_types = '{}' OR %(type)s = ANY(event_types)) FOR KEY SHARE
), event AS (
    INSERT INTO webhook_events (event_id, type, subject, episode_uid, data)
    SELECT %(event_id)s, %(type)s, %(subject)s, episode_uid,
           jsonb_build_object('ep_id', ep_id, 'episode_uid', episode_uid, 'sha256', sha256,
                              'size_bytes', size_bytes, 'container', container)
    FROM episodes WHERE episode_uid = %(episode_uid)s AND EXISTS (SELECT 1 FROM told)
    RETURNING event_id
)
INSERT INTO webhook_deliveries (delivery_id, webhook_id, event_id)
SELECT gen_random_uuid(), webhook_id, event_id FROM told, event;

-- name: insert_webhook
INSERT INTO webhooks (webhook_id, url, event_types, description, secret)
VALUES (%(webhook_id)s, %(url)s, %(event_types)s, %(description)s, %(secret)s)
RETURNING *;

-- name: list_webhooks
SELECT * FROM webhooks ORDER BY webhook_id;

-- name: get_webhook
SELECT * FROM webhooks WHERE webhook_id = %(webhook_id)s;

-- name: delete_webhook
DELETE FROM webhooks WHERE webhook_id = %(webhook_id)s RETURNING webhook_id;

-- name: rotate_webhook_secret
UPDATE webhooks SET older_secret = secret, older_secret_until = now() + make_interval(secs => %(overlap_s)s),
                    secret = %(secret)s
WHERE webhook_id = %(webhook_id)s RETURNING *;

-- name: disable_webhook
UPDATE webhooks SET disabled_at = now(), disabled_reason = %(reason)s
WHERE webhook_id = %(webhook_id)s AND disabled_at IS NULL;

-- name: enable_webhook
UPDATE webhooks SET disabled_at = NULL, disabled_reason = NULL
WHERE webhook_id = %(webhook_id)s RETURNING *;

-- name: list_deliveries
SELECT d.*, e.type, e.subject FROM webhook_deliveries d JOIN webhook_events e USING (event_id)
WHERE d.webhook_id = %(webhook_id)s AND (%(before)s::bigint IS NULL OR d.number < %(before)s)
ORDER BY d.number DESC LIMIT %(limit)s;

-- name: replay_delivery
UPDATE webhook_deliveries d SET state = 'pending', attempts = 0, next_at = now(), delivered_at = NULL
FROM webhook_events e
WHERE d.webhook_id = %(webhook_id)s AND d.delivery_id = %(delivery_id)s AND e.event_id = d.event_id
RETURNING d.*, e.type, e.subject;

-- name: webhooks_with_due
SELECT DISTINCT d.webhook_id FROM webhook_deliveries d JOIN webhooks w USING (webhook_id)
WHERE d.state = 'pending' AND d.next_at <= now() AND (d.sent_until IS NULL OR d.sent_until < now())
  AND w.disabled_at IS NULL AND NOT d.webhook_id = ANY(%(in_work)s)
  AND NOT EXISTS (SELECT 1 FROM webhook_deliveries o
                  WHERE o.webhook_id = d.webhook_id AND o.state = 'pending' AND o.sent_until >= now())
LIMIT %(limit)s;

-- name: take_delivery
-- The oldest that is due, unless another one of the webhook is on its way: one at a time, in order.
WITH hook AS (
    SELECT * FROM webhooks WHERE webhook_id = %(webhook_id)s AND disabled_at IS NULL
    FOR NO KEY UPDATE SKIP LOCKED
), due AS (
    SELECT d.delivery_id FROM webhook_deliveries d JOIN hook USING (webhook_id)
    WHERE d.state = 'pending' AND d.next_at <= now()
      AND NOT EXISTS (SELECT 1 FROM webhook_deliveries o
                      WHERE o.webhook_id = d.webhook_id AND o.state = 'pending' AND o.sent_until >= now())
    ORDER BY d.number LIMIT 1
)
UPDATE webhook_deliveries d SET attempts = d.attempts + 1,
                                sent_until = now() + make_interval(secs => %(lease_s)s)
FROM due, hook, webhook_events e
WHERE d.delivery_id = due.delivery_id AND e.event_id = d.event_id
  AND d.state = 'pending' AND (d.sent_until IS NULL OR d.sent_until < now())
RETURNING d.delivery_id, d.webhook_id, d.attempts, e.event_id, e.number, e.type, e.subject, e.data, e.at,
          hook.url, hook.secret, CASE WHEN hook.older_secret_until > now() THEN hook.older_secret END AS older_secret;

-- name: mark_delivery
UPDATE webhook_deliveries SET
    state = %(state)s, tries = tries || %(tried)s::jsonb, sent_until = NULL,
    next_at = now() + make_interval(secs => %(delay_s)s),
    delivered_at = CASE WHEN %(state)s = 'delivered' THEN now() END
WHERE delivery_id = %(delivery_id)s AND state = 'pending';

-- name: forget_webhook_events
DELETE FROM webhook_events e
WHERE e.at < now() - make_interval(secs => %(older_than_days)s * 86400)
  AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.event_id = e.event_id AND d.state = 'pending');
