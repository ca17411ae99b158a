-- The queues that consumers read into this store, as they last said: see pipeline/store/readers.py.
CREATE TABLE readers (
    queue   text        PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
