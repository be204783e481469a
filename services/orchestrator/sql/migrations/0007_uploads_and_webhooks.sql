-- Uploads that come in parts; webhooks, the events that they are told, and the deliveries of these.

CREATE TABLE uploads (
    upload_id text PRIMARY KEY,
    state text NOT NULL DEFAULT 'receiving' CHECK (state IN ('receiving', 'complete', 'registered', 'refused')),
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    offset_bytes bigint NOT NULL DEFAULT 0 CHECK (offset_bytes BETWEEN 0 AND size_bytes),
    metadata text NOT NULL,
    filename text NOT NULL,
    ep_id text,
    replace boolean NOT NULL,
    sha256 text,
    episode_uid text REFERENCES episodes ON DELETE CASCADE,
    error_code text,
    error_message text,
    assembled_until timestamptz,  -- whoever puts it together has it until then
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX uploads_complete ON uploads (created_at) WHERE state = 'complete';
CREATE INDEX uploads_by_expiry ON uploads (expires_at);
CREATE INDEX uploads_of_episode ON uploads (episode_uid);

-- What was acknowledged, as objects of the store.
CREATE TABLE upload_parts (
    upload_id text NOT NULL REFERENCES uploads ON DELETE CASCADE,
    offset_bytes bigint NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    key text NOT NULL,
    PRIMARY KEY (upload_id, offset_bytes)
);

CREATE FUNCTION notify_upload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('uploads', NEW.upload_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER uploads_notify AFTER UPDATE OF state ON uploads
    FOR EACH ROW WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION notify_upload();

-- Secrets are sealed with a key of the settings. An empty list of types is all of them.
CREATE TABLE webhooks (
    webhook_id text PRIMARY KEY,
    url text NOT NULL,
    event_types text[] NOT NULL,
    description text NOT NULL DEFAULT '',
    secret bytea NOT NULL,
    older_secret bytea,
    older_secret_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    disabled_reason text
);

CREATE TABLE webhook_events (
    event_id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    type text NOT NULL,
    subject text NOT NULL,
    episode_uid text NOT NULL REFERENCES episodes ON DELETE CASCADE,
    data jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_events_of_episode ON webhook_events (episode_uid);
CREATE INDEX webhook_events_old ON webhook_events (at);

CREATE TABLE webhook_deliveries (
    delivery_id text PRIMARY KEY,
    webhook_id text NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id text NOT NULL REFERENCES webhook_events ON DELETE CASCADE,
    number bigint GENERATED ALWAYS AS IDENTITY,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    tries jsonb NOT NULL DEFAULT '[]',
    next_at timestamptz NOT NULL DEFAULT now(),
    sent_until timestamptz,  -- whoever sends it has it until then
    created_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, number) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (webhook_id, number DESC);
CREATE INDEX webhook_deliveries_of_event ON webhook_deliveries (event_id);

CREATE FUNCTION notify_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('webhooks', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER webhook_deliveries_notify AFTER INSERT ON webhook_deliveries
    FOR EACH ROW EXECUTE FUNCTION notify_webhooks();
