-- name: uploads_of_name
-- Every upload under a name that an episode has now, replaced ones too.
SELECT episode_uid, ep_id FROM episodes
WHERE ep_id = %(ep_id)s
  AND EXISTS (SELECT 1 FROM episodes WHERE ep_id = %(ep_id)s AND superseded_at IS NULL);

-- name: lock_jobs_of_episodes
-- Jobs first: whoever holds a job's lock may still want its episode's.
SELECT job_id, state FROM jobs WHERE episode_uid = ANY(%(episode_uids)s) ORDER BY job_id FOR UPDATE;

-- name: lock_episodes
-- No row that refers to them can be added until the transaction ends.
SELECT episode_uid, ep_id FROM episodes WHERE episode_uid = ANY(%(episode_uids)s) ORDER BY episode_uid FOR UPDATE;

-- name: count_of_episodes
SELECT cardinality(%(episode_uids)s::text[]) AS episodes,
       cardinality(%(job_ids)s::text[]) AS jobs,
       (SELECT count(*) FROM stage_runs WHERE job_id = ANY(%(job_ids)s)) AS stage_runs,
       (SELECT count(*) FROM tasks WHERE job_id = ANY(%(job_ids)s)) AS tasks,
       (SELECT count(*) FROM attempts WHERE job_id = ANY(%(job_ids)s)) AS attempts,
       (SELECT count(*) FROM artifacts a JOIN stage_runs r USING (run_id)
        WHERE r.job_id = ANY(%(job_ids)s)) AS artifacts,
       (SELECT count(*) FROM job_events WHERE job_id = ANY(%(job_ids)s) AND type = 'state') AS events,
       (SELECT count(*) FROM job_events WHERE job_id = ANY(%(job_ids)s) AND type = 'log') AS log_lines,
       (SELECT count(*) FROM dead_letters WHERE job_id = ANY(%(job_ids)s)) AS dead_letters,
       (SELECT count(*) FROM imported_files WHERE episode_uid = ANY(%(episode_uids)s)) AS imported_files;

-- name: insert_erasure
INSERT INTO erasures (erasure_id, reason, ep_id_hash, counts, episode_uids, job_ids, unemptied_streams)
VALUES (%(erasure_id)s, %(reason)s, %(ep_id_hash)s, %(counts)s, %(episode_uids)s, %(job_ids)s,
        %(unemptied_streams)s);

-- name: keep_open_attempts
INSERT INTO erased_attempts (attempt_id, erasure_id, task_id, worker_id)
SELECT attempt_id, %(erasure_id)s, task_id, worker_id FROM attempts
WHERE job_id = ANY(%(job_ids)s) AND state = 'open';

-- name: forget_unsent
DELETE FROM outbox WHERE split_part(subject, '.', 6) IN (SELECT task_id FROM tasks WHERE job_id = ANY(%(job_ids)s));

-- name: delete_episodes
DELETE FROM episodes WHERE episode_uid = ANY(%(episode_uids)s);

-- name: tell_of_erased_jobs
-- Whoever watches them, and whoever tells workers to let go.
SELECT pg_notify('job_ended', ''), (SELECT count(pg_notify('job_events', id)) FROM unnest(%(job_ids)s::text[]) AS id);

-- name: get_erasure
SELECT e.*, (SELECT count(*) FROM erased_attempts a WHERE a.erasure_id = e.erasure_id) AS open_attempts
FROM erasures e WHERE erasure_id = %(erasure_id)s;

-- name: pending_erasure_of_name
SELECT erasure_id FROM erasures WHERE ep_id_hash = %(ep_id_hash)s AND state = 'pending'
ORDER BY requested_at DESC LIMIT 1;

-- name: take_erasure
-- For one replica at a time; one that dies over it is followed by another.
UPDATE erasures SET look_at = now() + make_interval(secs => %(lease_s)s)
WHERE erasure_id = (
    SELECT erasure_id FROM erasures WHERE look_at <= now() ORDER BY look_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING *;

-- name: close_erased_attempt
DELETE FROM erased_attempts WHERE attempt_id = %(attempt_id)s;

-- name: settle_erasure
-- Attempts of workers that are not at them any more are over; after the last one, whatever is found is final.
WITH gone AS (
    DELETE FROM erased_attempts a USING erasures e
    WHERE a.erasure_id = %(erasure_id)s AND e.erasure_id = a.erasure_id
      AND e.requested_at < now() - make_interval(secs => %(worker_expiry_s)s)
      AND NOT EXISTS (
          SELECT 1 FROM workers w WHERE w.worker_id = a.worker_id AND w.heartbeat ->> 'task_id' = a.task_id
            AND w.last_seen_at > now() - make_interval(secs => %(worker_expiry_s)s))
    RETURNING a.attempt_id
)
UPDATE erasures SET settled_at = now()
WHERE erasure_id = %(erasure_id)s AND settled_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM erased_attempts a
      WHERE a.erasure_id = %(erasure_id)s AND a.attempt_id NOT IN (SELECT attempt_id FROM gone));

-- name: is_erasure_settled
-- Whether so much time has passed since the last attempt was closed that no file can follow.
SELECT settled_at < now() - make_interval(secs => %(settle_s)s) AS is_settled
FROM erasures WHERE erasure_id = %(erasure_id)s AND settled_at IS NOT NULL;

-- name: erasure_looked_at
UPDATE erasures SET
    counts = counts || jsonb_build_object(
        'objects', coalesce((counts ->> 'objects')::bigint, 0) + %(objects)s::bigint,
        'messages', coalesce((counts ->> 'messages')::bigint, 0) + %(messages)s::bigint),
    unemptied_streams = %(unemptied_streams)s,
    state = CASE WHEN %(is_done)s THEN 'done' ELSE state END,
    done_at = CASE WHEN %(is_done)s THEN coalesce(done_at, now()) ELSE done_at END,
    look_at = now() + make_interval(secs => %(again_in_s)s)
WHERE erasure_id = %(erasure_id)s;

-- name: close_erasures
-- Past that age nothing is looked for any more, so nothing need be known.
UPDATE erasures SET episode_uids = '{}', job_ids = '{}', look_at = NULL
WHERE look_at IS NOT NULL AND done_at < now() - make_interval(secs => %(watch_s)s);

-- name: named_episode
-- In the trash or not.
SELECT * FROM episodes WHERE ep_id = %(ep_id)s AND superseded_at IS NULL;

-- name: trash_episode
UPDATE episodes SET trashed_at = now(), purge_at = now() + make_interval(secs => %(keep_s)s::float8)
WHERE episode_uid = %(episode_uid)s AND trashed_at IS NULL;

-- name: restore_episode
UPDATE episodes SET trashed_at = NULL, purge_at = NULL
WHERE ep_id = %(ep_id)s AND superseded_at IS NULL AND trashed_at IS NOT NULL
RETURNING *;
