-- name: insert_episode
-- A new upload under a name that no current episode has.
INSERT INTO episodes (episode_uid, ep_id, filename, media_uri, sha256, size_bytes, container)
VALUES (%(episode_uid)s, %(ep_id)s, %(filename)s, %(media_uri)s, %(sha256)s, %(size_bytes)s, %(container)s)
RETURNING *;

-- name: supersede_episode
-- Frees a name; the old upload keeps its row and its uid.
UPDATE episodes SET superseded_at = now() WHERE ep_id = %(ep_id)s AND superseded_at IS NULL;

-- name: current_episode
-- What a name means to readers: nothing while it is in the trash.
SELECT * FROM episodes WHERE ep_id = %(ep_id)s AND superseded_at IS NULL AND trashed_at IS NULL;

-- name: current_episode_of_job
-- No row once the episode that the job works on was replaced.
SELECT e.* FROM episodes e JOIN jobs j USING (episode_uid)
WHERE j.job_id = %(job_id)s AND e.superseded_at IS NULL;

-- name: list_episodes
SELECT * FROM episodes
WHERE superseded_at IS NULL AND ep_id > %(after)s AND (%(show_deleted)s OR trashed_at IS NULL)
ORDER BY ep_id LIMIT %(limit)s;

-- name: put_media_back
UPDATE episodes SET media_uri = %(media_uri)s, media_removed_at = NULL
WHERE episode_uid = %(episode_uid)s AND media_removed_at IS NOT NULL
RETURNING *;

-- name: newest_episodes
SELECT * FROM episodes WHERE superseded_at IS NULL AND trashed_at IS NULL
ORDER BY created_at DESC LIMIT %(limit)s;

-- name: lock_current_episode
SELECT * FROM episodes
WHERE ep_id = %(ep_id)s AND superseded_at IS NULL AND trashed_at IS NULL FOR NO KEY UPDATE;

-- name: edit_episode
-- What is null here stays as it is.
UPDATE episodes SET
    title = coalesce(%(title)s::text, title),
    labels = coalesce(%(labels)s::jsonb, labels)
WHERE episode_uid = %(episode_uid)s
RETURNING *;

-- name: set_media_info
UPDATE episodes SET media_info = %(media_info)s WHERE episode_uid = %(episode_uid)s;
