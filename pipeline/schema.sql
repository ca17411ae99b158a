-- The store. Every service that uses it runs this at its start, so each statement can run twice.

CREATE TABLE IF NOT EXISTS messages (
    -- The place in the store, in the order of commits (see Store.add): what lists, cursors and streams follow.
    -- Numbers may be missing; a lower one never appears after a higher one.
    seq           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256 of source and id: an index on the two themselves would refuse the long ones.
    identity      bytea       NOT NULL UNIQUE,
    source        text        NOT NULL,
    id            text        NOT NULL,
    type          text        NOT NULL,
    time          timestamptz NOT NULL, -- published, by the clock of whoever did
    body          text        NOT NULL, -- the document as published
    -- What a list shows, so that it reads no bodies.
    preview       text        NOT NULL,
    color         text,
    sequence      bigint,
    size          integer     NOT NULL, -- bytes of the body
    -- Of the delivery that stored it.
    message_id    text        NOT NULL, -- SQS's
    receive_count integer     NOT NULL,
    attributes    jsonb       NOT NULL,
    sent_at       timestamptz NOT NULL, -- put on the queue
    received_at   timestamptz NOT NULL,
    stored_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    terms         tsvector    NOT NULL -- what it is found by: pipeline/search.py
);

-- An insert that fills the list of new entries stops to empty it: 16 MB are more than Store.settle_index leaves.
CREATE INDEX IF NOT EXISTS messages_terms ON messages USING gin (terms) WITH (gin_pending_list_limit = 16384);
CREATE INDEX IF NOT EXISTS messages_time ON messages (time);

-- Further deliveries of a stored message.
CREATE TABLE IF NOT EXISTS duplicates (
    seq           bigint      NOT NULL REFERENCES messages ON DELETE CASCADE,
    message_id    text        NOT NULL,
    receive_count integer     NOT NULL,
    sent_at       timestamptz NOT NULL,
    received_at   timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS duplicates_seq ON duplicates (seq);

-- Messages that a handler failed on, one row for each as SQS counts them, until they come to a good end.
CREATE TABLE IF NOT EXISTS failures (
    message_id      text        PRIMARY KEY, -- SQS's
    identity        bytea       NOT NULL,
    source          text        NOT NULL,
    id              text        NOT NULL,
    type            text        NOT NULL,
    time            timestamptz NOT NULL,
    preview         text        NOT NULL,
    body            text        NOT NULL,
    attributes      jsonb       NOT NULL,
    error_type      text        NOT NULL,
    error           text        NOT NULL,
    traceback       text        NOT NULL,
    tries           integer     NOT NULL,
    first_failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_failed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    dead_at         timestamptz,             -- failed at the last try that the redrive policy allows
    redriven_at     timestamptz,
    resolved_at     timestamptz              -- handled without failing after all
);
CREATE INDEX IF NOT EXISTS failures_identity ON failures (identity);

-- Each of their tries.
CREATE TABLE IF NOT EXISTS failed_tries (
    message_id    text        NOT NULL REFERENCES failures ON DELETE CASCADE,
    receive_count integer     NOT NULL,
    sent_at       timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    failed_at     timestamptz NOT NULL DEFAULT now(), -- as failures.last_failed_at and dead_at
    error_type    text        NOT NULL,
    error         text        NOT NULL
);
CREATE INDEX IF NOT EXISTS failed_tries_message_id ON failed_tries (message_id);

-- What the figures of a stretch of time were: one row each few seconds, for a day. See pipeline/samples.py.
CREATE TABLE IF NOT EXISTS samples (
    at         timestamptz PRIMARY KEY, -- its beginning
    stored     integer     NOT NULL,
    duplicates integer     NOT NULL,
    failed     integer     NOT NULL, -- tries
    p50        float8,               -- seconds from published to stored
    p95        float8,
    p99        float8,
    visible    integer,              -- in the queue, at the end; unknown while AWS is away
    in_flight  integer,
    delayed    integer,
    dead       integer
);
-- Rows lie in the order of storing, so that this small index finds a stretch of time.
CREATE INDEX IF NOT EXISTS messages_stored_at ON messages USING brin (stored_at);

-- What share of messages fails on purpose, where consumers have FAULTS. See pipeline/faults.py.
CREATE TABLE IF NOT EXISTS faults (
    one     boolean     PRIMARY KEY DEFAULT true CHECK (one), -- there is one row at most
    fail    float8      NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()     -- followed by a consumer, last
);
