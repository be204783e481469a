-- name: insert_task
-- With its message. Tasks are unique by kind and ordinal, so a step that is decided twice is made once.
WITH made AS (
    INSERT INTO tasks (task_id, run_id, job_id, kind, ordinal, message, max_attempts)
    VALUES (%(task_id)s, %(run_id)s, %(job_id)s, %(kind)s, %(ordinal)s, %(message)s, %(max_attempts)s)
    ON CONFLICT (run_id, kind, ordinal) DO NOTHING
    RETURNING task_id
)
INSERT INTO outbox (subject, payload)
SELECT %(subject)s, %(payload)s FROM made;

-- name: get_task
SELECT * FROM tasks WHERE task_id = %(task_id)s;

-- name: tasks_of_run
SELECT * FROM tasks WHERE run_id = %(run_id)s ORDER BY kind, ordinal;

-- name: claim_task_if_live
-- A new generation for a new attempt; no row when the task is closed or its attempts are used up.
WITH claimed AS (
    UPDATE tasks SET
        generation = generation + 1,
        attempts = attempts + 1,
        attempt_id = %(attempt_id)s,
        claimed_at = now(),
        progress = NULL
    WHERE task_id = %(task_id)s AND state = 'live' AND attempts < max_attempts
    RETURNING task_id, job_id, generation
)
INSERT INTO attempts (attempt_id, task_id, job_id, generation, worker_id)
SELECT %(attempt_id)s, task_id, job_id, generation, %(worker_id)s FROM claimed
RETURNING generation;

-- name: get_attempt
SELECT * FROM attempts WHERE attempt_id = %(attempt_id)s;

-- name: attempt_before
SELECT state, worker_id FROM attempts WHERE task_id = %(task_id)s AND generation < %(generation)s
ORDER BY generation DESC LIMIT 1;

-- name: close_attempt
UPDATE attempts SET state = %(state)s, closed_at = now(), collected_at = NULL, error_message = %(error_message)s,
                    log_tail = %(log_tail)s
WHERE attempt_id = %(attempt_id)s AND state IN ('open', 'abandoned');

-- name: last_words
-- The newest error of a task's attempts; one that died in silence has none.
SELECT error_message FROM attempts WHERE task_id = %(task_id)s AND error_message IS NOT NULL
ORDER BY generation DESC LIMIT 1;

-- name: attempt_in_work
-- The newest attempt of a task, while its worker says that it works on it or had no time yet to say so.
SELECT 1 FROM tasks t
JOIN attempts a USING (attempt_id)
JOIN workers w USING (worker_id)
WHERE t.task_id = %(task_id)s AND a.state = 'open'
  AND w.last_seen_at > now() - make_interval(secs => %(worker_expiry_s)s)
  AND (w.heartbeat ->> 'task_id' = t.task_id
       OR a.created_at > now() - make_interval(secs => %(worker_expiry_s)s));

-- name: abandon_attempts
-- Attempts at tasks that are over, of workers that are not at it any more.
UPDATE attempts a SET state = 'abandoned', closed_at = now()
FROM tasks t
WHERE a.task_id = t.task_id AND a.state = 'open' AND t.state <> 'live'
  AND t.finished_at < now() - make_interval(secs => %(worker_expiry_s)s)
  AND NOT EXISTS (
      SELECT 1 FROM workers w WHERE w.worker_id = a.worker_id AND w.heartbeat ->> 'task_id' = a.task_id
        AND w.last_seen_at > now() - make_interval(secs => %(worker_expiry_s)s));

-- name: uncollected_attempts
-- Closed attempts of which no artifact is kept; one that is closed again is looked at again.
SELECT a.attempt_id, j.episode_uid FROM attempts a JOIN jobs j USING (job_id)
WHERE a.closed_at < now() - make_interval(secs => %(after_s)s) AND a.collected_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM artifacts f WHERE f.attempt_id = a.attempt_id)
ORDER BY a.closed_at LIMIT %(limit)s;

-- name: attempts_collected
UPDATE attempts SET collected_at = now() WHERE attempt_id = ANY(%(attempt_ids)s);

-- name: bury_task
-- The newest attempt's own last lines, else the last that the job's log has of its stage.
INSERT INTO dead_letters (task_id, job_id, attempts, worker_id, reason, log_tail)
SELECT t.task_id, t.job_id, t.attempts, a.worker_id, %(reason)s, coalesce(
    nullif(a.log_tail, '[]'),
    (SELECT jsonb_agg(concat_ws(' ', payload ->> 'logged_at', payload ->> 'level', payload ->> 'message')
                      ORDER BY seq)
     FROM (SELECT seq, payload FROM job_events
           WHERE job_id = t.job_id AND type = 'log' AND stage = t.message ->> 'stage'
           ORDER BY seq DESC LIMIT 40) AS newest),
    '[]')
FROM tasks t LEFT JOIN attempts a USING (attempt_id)
WHERE t.task_id = %(task_id)s
ON CONFLICT (task_id) DO NOTHING;

-- name: dead_letters_of_job
SELECT d.*, t.kind, t.ordinal, t.message ->> 'stage' AS stage FROM dead_letters d JOIN tasks t USING (task_id)
WHERE d.job_id = %(job_id)s ORDER BY d.created_at;

-- name: finish_task_if_live
-- The guard: the first success of a live task wins, whichever attempt it comes from.
UPDATE tasks SET state = 'done', finished_at = now(), counts = %(counts)s
WHERE %(is_success)s AND task_id = %(task_id)s AND state = 'live'
  AND EXISTS (SELECT 1 FROM attempts a
              WHERE a.attempt_id = %(attempt_id)s AND a.task_id = %(task_id)s AND a.state = 'open')
RETURNING task_id;

-- name: kill_task_if_newest
-- A failure counts only from the newest attempt of a live task.
UPDATE tasks SET state = 'dead', finished_at = now()
WHERE task_id = %(task_id)s AND state = 'live' AND attempt_id = %(attempt_id)s
RETURNING task_id;

-- name: kill_task_if_spent
UPDATE tasks SET state = 'dead', finished_at = now()
WHERE task_id = %(task_id)s AND state = 'live' AND attempts >= max_attempts
RETURNING task_id;

-- name: give_attempt_back
-- A drain is no attempt.
UPDATE tasks SET attempts = greatest(attempts - 1, 0)
WHERE task_id = %(task_id)s AND state = 'live'
RETURNING task_id;

-- name: cancel_tasks
UPDATE tasks SET state = 'cancelled', finished_at = now()
WHERE job_id = %(job_id)s AND state = 'live';

-- name: live_tasks
-- Tasks whose message was published some time ago, all of them or some.
SELECT t.task_id, t.job_id FROM tasks t
WHERE t.state = 'live' AND (%(task_ids)s::text[] IS NULL OR t.task_id = ANY(%(task_ids)s))
  AND NOT EXISTS (
      SELECT 1 FROM outbox o WHERE split_part(o.subject, '.', 6) = t.task_id
        AND (o.sent_at IS NULL OR o.created_at > now() - make_interval(secs => %(older_than_s)s)));

-- name: task_messages
SELECT task_id, message FROM tasks WHERE task_id = ANY(%(task_ids)s);

-- name: overdue_tasks
SELECT t.task_id, t.job_id, t.run_id FROM tasks t
WHERE t.state = 'live' AND t.claimed_at < now() - make_interval(secs => (t.message ->> 'max_runtime_s')::float);

-- name: get_progress
SELECT generation, progress FROM tasks WHERE task_id = %(task_id)s;

-- name: set_progress
-- Monotonic within a generation: an older snapshot that arrives late changes nothing.
UPDATE tasks SET progress = %(progress)s
WHERE task_id = %(task_id)s AND state = 'live' AND generation = %(generation)s
  AND (progress IS NULL OR (progress ->> 'fraction')::float <= %(fraction)s);

-- name: insert_artifact
INSERT INTO artifacts (run_id, task_id, attempt_id, kind, uri, sha256, size_bytes, rows)
VALUES (%(run_id)s, %(task_id)s, %(attempt_id)s, %(kind)s, %(uri)s, %(sha256)s, %(size_bytes)s, %(rows)s);

-- name: artifacts_of_run
SELECT a.*, t.kind AS task_kind, t.ordinal FROM artifacts a JOIN tasks t USING (task_id)
WHERE a.run_id = %(run_id)s ORDER BY a.kind, t.ordinal;

-- name: artifacts_of_runs
SELECT a.*, r.stage FROM artifacts a JOIN stage_runs r USING (run_id)
WHERE a.run_id = ANY(%(run_ids)s) ORDER BY r.position, a.kind;

-- name: current_artifacts
-- Those of the newest successful run of each stage of an episode.
SELECT a.*, r.stage FROM artifacts a JOIN stage_runs r USING (run_id)
WHERE a.run_id IN (
    SELECT DISTINCT ON (c.stage) c.run_id FROM stage_runs c
    WHERE c.episode_uid = %(episode_uid)s AND c.state = 'succeeded'
    ORDER BY c.stage, c.finished_at DESC
)
ORDER BY r.position, a.kind;

-- name: adopt_tasks
-- Done tasks of another run, as done tasks of this one.
INSERT INTO tasks (task_id, run_id, job_id, kind, ordinal, state, message, max_attempts, counts, finished_at)
SELECT new.task_id, %(run_id)s, %(job_id)s, t.kind, t.ordinal, 'done',
       t.message || jsonb_build_object('task_id', new.task_id, 'run_id', %(run_id)s::text,
                                       'job_id', %(job_id)s::text),
       t.max_attempts, t.counts, now()
FROM unnest(%(source_task_ids)s::text[], %(task_ids)s::text[]) AS new (source_task_id, task_id)
JOIN tasks t ON t.task_id = new.source_task_id;

-- name: adopt_artifacts
-- The same files, named by the attempt that made them.
INSERT INTO artifacts (run_id, task_id, attempt_id, kind, uri, sha256, size_bytes, rows)
SELECT %(run_id)s, new.task_id, a.attempt_id, a.kind, a.uri, a.sha256, a.size_bytes, a.rows
FROM unnest(%(source_task_ids)s::text[], %(task_ids)s::text[]) AS new (source_task_id, task_id)
JOIN artifacts a ON a.task_id = new.source_task_id;

-- name: open_tasks
-- Live tasks of a run with the newest attempt at each, how long its worker was silent, and how long the task has
-- waited to be sent.
SELECT t.kind, t.ordinal, t.attempts, t.max_attempts,
       a.state AS attempt_state, a.generation, a.worker_id, a.error_message,
       extract(epoch FROM now() - w.last_seen_at)::float8 AS silent_s,
       extract(epoch FROM now() - o.created_at)::float8 AS unsent_s
FROM tasks t
LEFT JOIN LATERAL (
    SELECT * FROM attempts WHERE task_id = t.task_id ORDER BY generation DESC LIMIT 1
) a ON true
LEFT JOIN workers w ON w.worker_id = a.worker_id
LEFT JOIN outbox o ON o.sent_at IS NULL AND o.subject LIKE '%%.' || t.task_id
WHERE t.run_id = %(run_id)s AND t.state = 'live'
ORDER BY t.kind, t.ordinal;
