-- name: uploads_past_trash
SELECT episode_uid, ep_id FROM episodes WHERE purge_at <= now() ORDER BY purge_at LIMIT %(limit)s;

-- name: uploads_past_retention
-- Neither uploaded nor worked on since; those that were replaced by another upload too.
SELECT episode_uid, ep_id FROM episodes e
WHERE created_at < now() - make_interval(secs => %(older_than_s)s)
  AND NOT EXISTS (
      SELECT 1 FROM jobs j WHERE j.episode_uid = e.episode_uid
        AND (j.finished_at IS NULL OR j.finished_at >= now() - make_interval(secs => %(older_than_s)s)))
ORDER BY created_at LIMIT %(limit)s;

-- name: retire_videos
-- Source videos that are old and not in work. The row keeps the digest: results stay what they are.
UPDATE episodes SET media_removed_at = now()
WHERE episode_uid IN (
    SELECT episode_uid FROM episodes e
    WHERE media_uri IS NOT NULL AND media_removed_at IS NULL
      AND created_at < now() - make_interval(secs => %(older_than_s)s)
      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.episode_uid = e.episode_uid AND j.finished_at IS NULL)
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
);

-- name: retired_videos
-- Lately retired ones again: whoever retired them may have died before the file went.
SELECT media_uri AS uri FROM episodes WHERE media_removed_at > now() - interval '1 hour';

-- name: retire_faces
-- Chips and embeddings, of runs that are over.
UPDATE artifacts SET removed_at = now()
WHERE (task_id, kind) IN (
    SELECT a.task_id, a.kind FROM artifacts a JOIN stage_runs r USING (run_id) JOIN jobs j USING (job_id)
    WHERE a.kind = ANY(%(kinds)s) AND a.removed_at IS NULL AND j.finished_at IS NOT NULL
      AND a.created_at < now() - make_interval(secs => %(older_than_s)s)
    LIMIT %(limit)s FOR UPDATE OF a SKIP LOCKED
);

-- name: retired_faces
-- Files that no row has any more that still counts.
SELECT DISTINCT a.uri FROM artifacts a
WHERE a.removed_at > now() - interval '1 hour'
  AND NOT EXISTS (SELECT 1 FROM artifacts b WHERE b.uri = a.uri AND b.removed_at IS NULL);

-- name: forget_events
-- State changes of jobs that have ended; their log lines have a time of their own.
DELETE FROM job_events e USING jobs j
WHERE e.job_id = j.job_id AND e.type = 'state'
  AND j.finished_at < now() - make_interval(secs => %(older_than_s)s);

-- name: forget_dead_letters
DELETE FROM dead_letters WHERE created_at < now() - make_interval(secs => %(older_than_s)s);

-- name: forget_receipts
-- Those under which nothing is looked for any more.
DELETE FROM erasures WHERE look_at IS NULL AND done_at < now() - make_interval(secs => %(older_than_s)s);
