-- Where a video is being written that is no episode's yet, so that what a crash leaves there can be removed.
CREATE TABLE incoming_media (
    prefix text PRIMARY KEY,
    begun_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX incoming_media_begun ON incoming_media (begun_at);
