-- Gauges count the runs that ended within the last hour, every few seconds, and look at the newest episodes.
CREATE INDEX stage_runs_finished ON stage_runs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX episodes_newest ON episodes (created_at DESC) WHERE superseded_at IS NULL;
