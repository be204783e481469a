-- Results of the older system, kept as the files they came in; and where a job was asked to run.

-- An imported episode has no video until one is uploaded under its name.
ALTER TABLE episodes
    ALTER COLUMN media_uri DROP NOT NULL,
    ALTER COLUMN sha256 DROP NOT NULL,
    ALTER COLUMN size_bytes DROP NOT NULL,
    ALTER COLUMN container DROP NOT NULL,
    ADD CONSTRAINT episodes_media_is_whole CHECK (num_nulls(media_uri, sha256, size_bytes, container) IN (0, 4));

CREATE TABLE imported_files (
    episode_uid text NOT NULL REFERENCES episodes,
    run_key text NOT NULL,
    name text NOT NULL,
    stage text CHECK (stage IN ('detect_track', 'faces_embed', 'cluster')),
    kind text,
    uri text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    rows bigint,
    facts jsonb NOT NULL,
    modified_at timestamptz NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (episode_uid, run_key, name)
);
COMMENT ON COLUMN imported_files.run_key IS 'name of the folder below runs/; empty in the flat layout';

ALTER TABLE jobs
    ADD COLUMN execution_mode text CHECK (execution_mode IN ('auto', 'remote', 'local')),
    ADD COLUMN execution_place text CHECK (execution_place IN ('remote', 'local'));
