-- Replays: messages that are published again, in order. See pipeline/store/replays.py.

CREATE TABLE replays (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    q          text,                 -- the search; null: the messages are from a file
    topic      text,                 -- where all of them go; null for both: each to where it came from
    queue      text,
    per_second integer,              -- null: with the gaps that they had
    identity   text,                 -- as of a copy; null: CloudEvents are new, all others the same
    status     text        NOT NULL, -- running, cancelling, cancelled, completed, failed, interrupted
    total      integer     NOT NULL DEFAULT 0,
    sent       integer     NOT NULL DEFAULT 0,
    failed     integer     NOT NULL DEFAULT 0,
    skipped    integer     NOT NULL DEFAULT 0,
    reasons    jsonb       NOT NULL DEFAULT '[]', -- why some failed or were skipped
    in_hand    bigint,               -- the message that is being sent, and may have been: its seq, or its line
    reason     text,                 -- why it did not come to its end
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(), -- when its viewer last said that it is alive
    ended_at   timestamptz
);
-- One at a time.
CREATE UNIQUE INDEX replays_running ON replays ((true)) WHERE status IN ('running', 'cancelling');
