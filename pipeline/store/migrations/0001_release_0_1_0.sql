-- The store as release 0.1.0 made it, at every start and in the schema "public". A store that it filled is taken
-- over with its data; otherwise the tables are created.
--
-- In "public" stay views of the same names, which answer every statement with an error of the classes 55 and 57
-- ("PostgreSQL Error Codes"): to a consumer or viewer of 0.1.0 that still runs, the database is away. It waits, and
-- no message fails.

CREATE FUNCTION refuse_older_release() RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'this store has been migrated by a newer release of Fanout: upgrade this service'
        USING ERRCODE = 'cannot_connect_now';
END $$;

DO $$
DECLARE
    name text;
    columns text;
BEGIN
    FOR name, columns IN VALUES
        ('messages', 'seq bigint, identity bytea, source text, id text, type text, time timestamptz, body text,
                      preview text, color text, sequence bigint, size integer, message_id text,
                      receive_count integer, attributes jsonb, sent_at timestamptz, received_at timestamptz,
                      stored_at timestamptz, terms tsvector'),
        ('duplicates', 'seq bigint, message_id text, receive_count integer, sent_at timestamptz,
                        received_at timestamptz'),
        ('failures', 'message_id text, identity bytea, source text, id text, type text, time timestamptz,
                      preview text, body text, attributes jsonb, error_type text, error text, traceback text,
                      tries integer, first_failed_at timestamptz, last_failed_at timestamptz,
                      dead_at timestamptz, redriven_at timestamptz, resolved_at timestamptz'),
        ('failed_tries', 'message_id text, receive_count integer, sent_at timestamptz, received_at timestamptz,
                          failed_at timestamptz, error_type text, error text'),
        ('samples', 'at timestamptz, stored integer, duplicates integer, failed integer, p50 float8, p95 float8,
                     p99 float8, visible integer, in_flight integer, delayed integer, dead integer'),
        ('faults', 'one boolean, fail float8, seen_at timestamptz')
    LOOP
        IF EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = name) THEN
            EXECUTE format('ALTER TABLE public.%I SET SCHEMA fanout_store', name);
        END IF;
        IF to_regclass('public.' || name) IS NULL AND has_schema_privilege('public', 'CREATE') THEN
            EXECUTE format('CREATE VIEW public.%I AS SELECT * FROM refuse_older_release() AS t (%s)', name, columns);
        END IF;
    END LOOP;
END $$;

CREATE TABLE IF NOT EXISTS messages (
    -- The place in the store, in the order of commits (see Writer.add): what lists, cursors and streams follow.
    -- Numbers may be missing; a lower one never appears after a higher one.
    seq           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256 of source and id: an index on the two themselves would refuse the long ones.
    identity      bytea       NOT NULL UNIQUE,
    source        text        NOT NULL,
    id            text        NOT NULL,
    type          text        NOT NULL,
    time          timestamptz NOT NULL, -- published, by the publisher's clock
    body          text        NOT NULL, -- the document as published
    -- What lists show, so that they read no bodies.
    preview       text        NOT NULL,
    color         text,
    sequence      bigint,
    size          integer     NOT NULL, -- bytes of the body
    -- The delivery that stored it.
    message_id    text        NOT NULL, -- SQS's
    receive_count integer     NOT NULL,
    attributes    jsonb       NOT NULL,
    sent_at       timestamptz NOT NULL, -- put on the queue
    received_at   timestamptz NOT NULL,
    stored_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    terms         tsvector    NOT NULL -- see pipeline/search/terms.py
);

-- An insert that fills the list of new entries stops to empty it: 16 MB are more than Writer.settle_index leaves.
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

-- Messages that a handler failed on, a row for each SQS message id.
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
    resolved_at     timestamptz              -- succeeded after all
);
CREATE INDEX IF NOT EXISTS failures_identity ON failures (identity);

-- Each failed try of a message in failures.
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

-- The figures of each five seconds, kept for a day. See viewer/live/samples.py.
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

-- The share of messages that fails on purpose, where consumers have FAULTS. See pipeline/store/faults.py.
CREATE TABLE IF NOT EXISTS faults (
    one     boolean     PRIMARY KEY DEFAULT true CHECK (one), -- at most one row
    fail    float8      NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()     -- when a consumer last read it
);
