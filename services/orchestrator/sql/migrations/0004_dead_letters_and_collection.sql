-- Dead letters, attempts whose files the collector has removed, and the outbox by task.

-- A task that no further attempt is given, with the reason and the last that was heard of its work.
CREATE TABLE dead_letters (
    task_id text PRIMARY KEY REFERENCES tasks,
    job_id text NOT NULL REFERENCES jobs,
    attempts integer NOT NULL,
    worker_id text,
    reason text NOT NULL,
    log_tail jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dead_letters_of_job ON dead_letters (job_id);

-- `abandoned`: its task is over and its worker was never heard of again.
ALTER TABLE attempts DROP CONSTRAINT attempts_state_check;
ALTER TABLE attempts ADD CONSTRAINT attempts_state_check
    CHECK (state IN ('open', 'succeeded', 'rejected', 'retry', 'handed_back', 'fenced', 'abandoned'));
ALTER TABLE attempts ADD COLUMN collected_at timestamptz;
CREATE INDEX attempts_uncollected ON attempts (closed_at) WHERE closed_at IS NOT NULL AND collected_at IS NULL;
CREATE INDEX artifacts_of_attempt ON artifacts (attempt_id);

-- The task's id is the last part of its subject.
CREATE INDEX outbox_of_task ON outbox (split_part(subject, '.', 6));
