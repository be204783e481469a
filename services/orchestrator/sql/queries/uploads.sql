-- name: insert_upload
INSERT INTO uploads (upload_id, size_bytes, metadata, filename, ep_id, replace, sha256, expires_at)
VALUES (%(upload_id)s, %(size_bytes)s, %(metadata)s, %(filename)s, %(ep_id)s, %(replace)s, %(sha256)s,
        now() + make_interval(secs => %(expire_after_s)s))
RETURNING *;

-- name: get_upload
SELECT * FROM uploads WHERE upload_id = %(upload_id)s AND expires_at > now();

-- name: append_part_at_offset
-- The guard: of parts that begin at the same place one is taken; no row for the others.
WITH moved AS (
    UPDATE uploads SET
        offset_bytes = offset_bytes + %(size_bytes)s,
        state = CASE WHEN offset_bytes + %(size_bytes)s = size_bytes THEN 'complete' ELSE state END,
        expires_at = now() + make_interval(secs => %(expire_after_s)s)
    WHERE upload_id = %(upload_id)s AND state = 'receiving' AND offset_bytes = %(offset_bytes)s
      AND expires_at > now()
    RETURNING *
), part AS (
    INSERT INTO upload_parts (upload_id, offset_bytes, size_bytes, key)
    SELECT upload_id, %(offset_bytes)s, %(size_bytes)s, %(key)s FROM moved
)
SELECT * FROM moved;

-- name: parts_of_upload
SELECT key, size_bytes FROM upload_parts WHERE upload_id = %(upload_id)s ORDER BY offset_bytes;

-- name: take_complete_upload
-- One that nobody puts together, or whose replica has died at it.
UPDATE uploads SET assembled_until = now() + make_interval(secs => %(lease_s)s)
WHERE upload_id = (
    SELECT upload_id FROM uploads
    WHERE state = 'complete' AND (assembled_until IS NULL OR assembled_until < now())
    ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: keep_upload
UPDATE uploads SET assembled_until = now() + make_interval(secs => %(lease_s)s)
WHERE upload_id = %(upload_id)s AND state = 'complete';

-- name: end_upload
-- An episode that was erased meanwhile is none any more.
UPDATE uploads SET state = %(state)s,
                   episode_uid = (SELECT e.episode_uid FROM episodes e
                                  WHERE e.episode_uid = %(episode_uid)s FOR KEY SHARE),
                   ep_id = coalesce(%(ep_id)s, ep_id),
                   error_code = %(error_code)s, error_message = %(error_message)s, assembled_until = NULL
WHERE upload_id = %(upload_id)s AND state = 'complete';

-- name: expire_upload
UPDATE uploads SET expires_at = '-infinity' WHERE upload_id = %(upload_id)s;

-- name: expired_uploads
-- And those whose episode was erased before they knew it.
SELECT upload_id FROM uploads
WHERE (expires_at < now() AND (assembled_until IS NULL OR assembled_until < now()))
   OR (state = 'registered' AND episode_uid IS NULL)
LIMIT %(limit)s;

-- name: known_uploads
SELECT upload_id FROM uploads WHERE upload_id = ANY(%(upload_ids)s);

-- name: forget_upload
DELETE FROM uploads
WHERE upload_id = %(upload_id)s
  AND (expires_at < now() OR (state = 'registered' AND episode_uid IS NULL));

-- name: expect_media
INSERT INTO incoming_media (prefix) VALUES (%(prefix)s);

-- name: take_in_media
-- No row for one that came so late that it was given up; one that is just being given up is waited for.
DELETE FROM incoming_media WHERE prefix = %(prefix)s RETURNING prefix;

-- name: give_up_media
DELETE FROM incoming_media
WHERE prefix = (
    SELECT prefix FROM incoming_media WHERE begun_at < now() - make_interval(secs => %(older_than_s)s)
    ORDER BY begun_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING prefix;
