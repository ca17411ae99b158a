-- What consumers with WATCH watch, as they last said: see pipeline/store/taps.py.
CREATE TABLE taps (
    queue    text        PRIMARY KEY, -- the tap's own
    topics   text[]      NOT NULL,    -- names of topics that are subscribed to it
    left_out text[]      NOT NULL,    -- names of topics that lead to a queue which is read anyway
    problems text[]      NOT NULL,    -- what could not be done, a line each
    seen_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
