-- name: insert_api_key
INSERT INTO api_keys (key_id, name, scopes, secret_sha256, created_by, expires_at)
VALUES (%(key_id)s, %(key_name)s, %(scopes)s, %(secret_sha256)s, %(created_by)s, %(expires_at)s)
ON CONFLICT (key_id) DO NOTHING
RETURNING *;

-- name: api_key
SELECT * FROM api_keys WHERE key_id = %(key_id)s;

-- name: api_keys
SELECT * FROM api_keys ORDER BY created_at, key_id;

-- name: lock_api_keys
-- Two processes that make the first key at once: one of them.
LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE;

-- name: usable_admin_key
SELECT key_id FROM api_keys
WHERE 'admin' = ANY(scopes) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
LIMIT 1;

-- name: revoke_api_key
-- A second time changes nothing.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE key_id = %(key_id)s RETURNING *;

-- name: rotate_api_key_if_usable
-- The secret of now works on until the overlap is over; one before that works no more.
UPDATE api_keys
SET previous_sha256 = secret_sha256, previous_until = now() + make_interval(secs => %(overlap_s)s),
    secret_sha256 = %(secret_sha256)s, rotated_at = now()
WHERE key_id = %(key_id)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
RETURNING *;

-- name: touch_api_key
UPDATE api_keys SET last_used_at = now()
WHERE key_id = %(key_id)s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');

-- name: insert_audit_entries
INSERT INTO audit_log (at, who, operation, resource, outcome, request_id, remote)
SELECT at, who, operation, resource, outcome, request_id, remote
FROM jsonb_to_recordset(%(entries)s) AS entry (
    at timestamptz, who text, operation text, resource text, outcome text, request_id text, remote text
);

-- name: audit_entries
-- The newest first.
SELECT * FROM audit_log
WHERE (%(before)s::bigint IS NULL OR audit_id < %(before)s)
  AND (%(who)s::text IS NULL OR who = %(who)s)
  AND (%(operation)s::text IS NULL OR operation = %(operation)s)
  AND (%(resource)s::text IS NULL OR resource = %(resource)s)
ORDER BY audit_id DESC
LIMIT %(limit)s;

-- name: forget_audit_entries
DELETE FROM audit_log WHERE audit_id IN (
    SELECT audit_id FROM audit_log
    WHERE at < now() - %(older_than_days)s * interval '1 day' ORDER BY at LIMIT %(limit)s
) RETURNING audit_id;

-- name: installation_secret
-- Made at the first call; no row for whoever loses the race for it, and sees the winner's at the next.
WITH made AS (
    INSERT INTO installation_secrets (purpose, secret) VALUES (%(purpose)s, %(fresh)s)
    ON CONFLICT DO NOTHING RETURNING secret
)
SELECT secret FROM made UNION ALL
SELECT secret FROM installation_secrets WHERE purpose = %(purpose)s LIMIT 1;

-- name: begin_upload_day
INSERT INTO upload_days (who, day, bytes) VALUES (%(who)s, %(day)s, 0) ON CONFLICT DO NOTHING;

-- name: take_upload_bytes
-- All that is needed, and more of what is wanted where there is more; or nothing.
WITH counted AS (SELECT bytes FROM upload_days WHERE who = %(who)s AND day = %(day)s FOR UPDATE)
UPDATE upload_days AS d
SET bytes = CASE WHEN counted.bytes + %(needed)s > %(most)s THEN counted.bytes
                 ELSE least(counted.bytes + %(wanted)s, %(most)s) END
FROM counted
WHERE d.who = %(who)s AND d.day = %(day)s
RETURNING d.bytes - counted.bytes AS granted;

-- name: forget_upload_days
DELETE FROM upload_days WHERE day < %(before)s;
