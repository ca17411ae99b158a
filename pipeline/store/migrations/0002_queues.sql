-- Identities are unique within a queue, and failures belong to a queue. What a store of release 0.1.0 holds came
-- from one queue: the one that this release is told by QUEUE_NAME (fanout.queue).

ALTER TABLE messages ADD COLUMN queue text NOT NULL DEFAULT current_setting('fanout.queue');
ALTER TABLE messages ALTER COLUMN queue DROP DEFAULT;
ALTER TABLE messages DROP CONSTRAINT messages_identity_key;
ALTER TABLE messages ADD CONSTRAINT messages_identity_key UNIQUE (queue, identity);

ALTER TABLE failures ADD COLUMN queue text NOT NULL DEFAULT current_setting('fanout.queue');
ALTER TABLE failures ALTER COLUMN queue DROP DEFAULT;
ALTER TABLE failed_tries ADD COLUMN queue text NOT NULL DEFAULT current_setting('fanout.queue');
ALTER TABLE failed_tries ALTER COLUMN queue DROP DEFAULT;

ALTER TABLE failed_tries DROP CONSTRAINT failed_tries_message_id_fkey;
ALTER TABLE failures DROP CONSTRAINT failures_pkey;
ALTER TABLE failures ADD PRIMARY KEY (queue, message_id);
ALTER TABLE failed_tries ADD CONSTRAINT failed_tries_message_id_fkey
    FOREIGN KEY (queue, message_id) REFERENCES failures ON DELETE CASCADE;

DROP INDEX failures_identity;
CREATE INDEX failures_identity ON failures (queue, identity);
DROP INDEX failed_tries_message_id;
CREATE INDEX failed_tries_message_id ON failed_tries (queue, message_id);

-- A process that knows another version of this schema writes nothing: to it the database is away.
CREATE FUNCTION refuse_other_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('fanout.schema_version', true) IS DISTINCT FROM (SELECT max(version)::text FROM migrations)
    THEN
        RAISE EXCEPTION 'the schema of the store has version %, this process knows version %',
            (SELECT max(version) FROM migrations), coalesce(current_setting('fanout.schema_version', true), 'none')
            USING ERRCODE = 'cannot_connect_now';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER messages_version BEFORE INSERT ON messages
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_other_version();
CREATE TRIGGER failures_version BEFORE INSERT ON failures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_other_version();
