-- Erasure, the trash, and data that is kept for a time only.

-- Whatever belongs to an episode goes with its row, in one statement: every table that refers to it, directly or
-- through another. A test holds later tables to this.
DO $$
DECLARE link record;
BEGIN
    FOR link IN
        WITH RECURSIVE below (relation) AS (
            SELECT 'episodes'::regclass::oid
            UNION
            SELECT c.conrelid FROM pg_constraint c JOIN below b ON c.confrelid = b.relation WHERE c.contype = 'f'
        )
        SELECT c.conrelid::regclass AS child, c.conname, pg_get_constraintdef(c.oid) AS definition
        FROM pg_constraint c JOIN below b ON c.confrelid = b.relation
        WHERE c.contype = 'f' AND c.confdeltype = 'a'
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s ON DELETE CASCADE',
                       link.child, link.conname, link.conname, link.definition);
    END LOOP;
END
$$;
-- A deletion looks for what refers to each row.
CREATE INDEX tasks_of_job ON tasks (job_id);
CREATE INDEX attempts_of_job ON attempts (job_id);
CREATE INDEX jobs_retrying ON jobs (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX jobs_resuming ON jobs (resume_of) WHERE resume_of IS NOT NULL;
CREATE INDEX stage_runs_reusing ON stage_runs (reused_run_id) WHERE reused_run_id IS NOT NULL;

-- The receipt of an erasure. What identifies the erased data stands here no longer than files or messages of it can
-- still turn up; the keyed hash of its name stays.
CREATE TABLE erasures (
    erasure_id text PRIMARY KEY,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done')),
    reason text NOT NULL CHECK (reason IN ('requested', 'trash', 'retention')),
    ep_id_hash text NOT NULL,
    counts jsonb NOT NULL,
    episode_uids text[] NOT NULL,
    job_ids text[] NOT NULL,
    unemptied_streams text[] NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    done_at timestamptz,
    look_at timestamptz DEFAULT now()
);
COMMENT ON COLUMN erasures.settled_at IS 'when the last attempt at a task of it was closed';
COMMENT ON COLUMN erasures.look_at IS 'when files and messages are looked for next; null: never again';
CREATE INDEX erasures_due ON erasures (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX erasures_by_hash ON erasures (ep_id_hash);

-- Attempts that were open when their rows went.
CREATE TABLE erased_attempts (
    attempt_id text PRIMARY KEY,
    erasure_id text NOT NULL REFERENCES erasures ON DELETE CASCADE,
    task_id text NOT NULL,
    worker_id text NOT NULL
);
CREATE INDEX erased_attempts_of_erasure ON erased_attempts (erasure_id);

ALTER TABLE episodes
    ADD COLUMN trashed_at timestamptz,
    ADD COLUMN purge_at timestamptz,
    ADD COLUMN media_removed_at timestamptz;
CREATE INDEX episodes_to_purge ON episodes (purge_at) WHERE purge_at IS NOT NULL;
ALTER TABLE artifacts ADD COLUMN removed_at timestamptz;
