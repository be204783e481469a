-- Episodes that users describe, revisions by which a change is told from another, and pages of jobs.

ALTER TABLE episodes
    ADD COLUMN title text NOT NULL DEFAULT '',
    ADD COLUMN labels jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(labels) = 'object'),
    ADD COLUMN revision bigint NOT NULL DEFAULT 1;

-- Whatever changes the row makes it another revision, whoever writes the update.
CREATE FUNCTION next_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER episodes_revision BEFORE UPDATE ON episodes
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION next_revision();

-- Jobs in the order in which they are listed: all, and the few that are active.
CREATE INDEX jobs_newest ON jobs (created_at DESC, job_id DESC);
CREATE INDEX jobs_active ON jobs (created_at DESC, job_id DESC) WHERE state IN ('waiting', 'queued', 'running');
