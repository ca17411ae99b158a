-- Copies that the viewer published and that do not name their original themselves. See pipeline/store/copies.py.

ALTER TABLE messages ADD COLUMN copy_of text; -- source and id of the original, separated by a space
CREATE TABLE copies (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content    bytea       NOT NULL, -- as messages.content
    attributes jsonb       NOT NULL, -- as messages.attributes
    copy_of    text        NOT NULL,
    term       text        NOT NULL, -- by which the copies of a message are found
    sent_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    stored_in  text[]      NOT NULL DEFAULT '{}' -- the queues that have brought it
);
CREATE INDEX copies_content ON copies (content);
