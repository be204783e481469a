-- name: imported_files
-- Each with whether a run of ours has a result of its stage.
SELECT f.*, EXISTS (
    SELECT 1 FROM stage_runs r
    WHERE r.episode_uid = f.episode_uid AND r.stage = f.stage AND r.state = 'succeeded'
) AS has_run
FROM imported_files f WHERE f.episode_uid = %(episode_uid)s ORDER BY f.run_key, f.name;

-- name: lock_episode
-- One import of an episode's files at a time; jobs are not held up.
SELECT 1 FROM episodes WHERE episode_uid = %(episode_uid)s FOR NO KEY UPDATE;

-- name: imported_file
SELECT * FROM imported_files
WHERE episode_uid = %(episode_uid)s AND run_key = %(run_key)s AND name = %(file_name)s;

-- name: put_imported_file
INSERT INTO imported_files (episode_uid, run_key, name, stage, kind, uri, sha256, size_bytes, rows, facts,
                            modified_at)
VALUES (%(episode_uid)s, %(run_key)s, %(file_name)s, %(stage)s, %(kind)s, %(uri)s, %(sha256)s, %(size_bytes)s,
        %(rows)s, %(facts)s, %(modified_at)s)
ON CONFLICT (episode_uid, run_key, name) DO UPDATE SET
    uri = excluded.uri, sha256 = excluded.sha256, size_bytes = excluded.size_bytes, rows = excluded.rows,
    facts = excluded.facts, modified_at = excluded.modified_at, imported_at = now()
RETURNING *;

-- name: attach_media
-- A video for an imported episode, which has none.
UPDATE episodes SET filename = %(filename)s, media_uri = %(media_uri)s, sha256 = %(sha256)s,
                    size_bytes = %(size_bytes)s, container = %(container)s
WHERE episode_uid = %(episode_uid)s AND media_uri IS NULL
RETURNING *;
