-- API keys, what was done with them and by whom, and how much each caller has uploaded on a day.

CREATE TABLE api_keys (
    key_id text PRIMARY KEY CHECK (key_id ~ '^[a-z0-9]{8}$'),
    name text NOT NULL,
    scopes text[] NOT NULL CHECK (
        cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'submit', 'curate', 'admin']
    ),
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    previous_sha256 bytea CHECK (octet_length(previous_sha256) = 32),
    previous_until timestamptz,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    rotated_at timestamptz,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT api_keys_previous_is_whole CHECK (num_nulls(previous_sha256, previous_until) IN (0, 2))
);

CREATE TABLE audit_log (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    who text NOT NULL,
    operation text NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL,
    request_id text NOT NULL,
    remote text NOT NULL
);
COMMENT ON COLUMN audit_log.resource IS 'kind and keyed hash of the name: erasing the resource leaves no name here';
CREATE INDEX audit_log_by_time ON audit_log (at);
CREATE INDEX audit_log_by_resource ON audit_log (resource, audit_id);

-- One secret of this installation each; made when it is first needed.
CREATE TABLE installation_secrets (
    purpose text PRIMARY KEY,
    secret bytea NOT NULL
);

CREATE TABLE upload_days (
    who text NOT NULL,
    day date NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (who, day)
);
