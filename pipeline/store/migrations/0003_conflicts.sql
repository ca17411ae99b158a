-- A message with the identity of another one but another content, a conflict, is kept beside it. What failed, and what
-- succeeds, is the same message only if its content is the same, too.

-- SHA-256 of the body and, of a CloudEvent in binary mode, its attributes. One rewrite of the table computes it: an
-- update of each row would take several times as long.
ALTER TABLE messages ADD COLUMN content bytea;
ALTER TABLE messages DROP CONSTRAINT messages_identity_key,
                     ALTER COLUMN content TYPE bytea USING sha256(convert_to(body, 'UTF8')),
                     ALTER COLUMN content SET NOT NULL;
-- The seq of the message that had this identity when a conflict was stored. It may have been removed since.
ALTER TABLE messages ADD COLUMN conflict_of bigint;
CREATE UNIQUE INDEX messages_identity_key
    ON messages (queue, identity, (CASE WHEN conflict_of IS NULL THEN '\x'::bytea ELSE content END));
CREATE INDEX messages_conflict_of ON messages (conflict_of, seq) WHERE conflict_of IS NOT NULL;

ALTER TABLE failures ADD COLUMN content bytea;
ALTER TABLE failures ALTER COLUMN content TYPE bytea USING sha256(convert_to(body, 'UTF8')),
                     ALTER COLUMN content SET NOT NULL;
DROP INDEX failures_identity;
CREATE INDEX failures_identity ON failures (queue, identity, content);
-- By what failures are pruned.
CREATE INDEX failures_last_failed_at ON failures (last_failed_at);

-- Texts that a redrive sent back to the queue: SQS gives them new ids, by which they would be other messages. See
-- pipeline/store/redrives.py.
CREATE TABLE redrives (
    queue       text        NOT NULL,
    original_id text        NOT NULL, -- SQS's id when it was first sent
    content     bytea       NOT NULL, -- SHA-256 of body and attributes
    sent_at     timestamptz NOT NULL,
    sent_as     text,                 -- SQS's id when it came back; NULL until then
    PRIMARY KEY (queue, original_id)
);
CREATE INDEX redrives_content ON redrives (queue, content);
CREATE INDEX redrives_sent_at ON redrives (sent_at);
