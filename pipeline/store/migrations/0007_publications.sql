-- How a message was published: what SNS and SQS say of it beside its body. NULL where that is unknown, as of
-- everything that was stored before.

ALTER TABLE messages ADD COLUMN topic            text, -- its name
                     ADD COLUMN topic_arn        text,
                     ADD COLUMN subject          text,
                     ADD COLUMN attribute_types  jsonb, -- by name, as AWS names them: String, Number, Binary, …
                     ADD COLUMN sns_message_id   text,
                     ADD COLUMN group_id         text, -- of FIFO topics and queues, as the two below
                     ADD COLUMN deduplication_id text,
                     ADD COLUMN sequence_number  text;
ALTER TABLE failures ADD COLUMN topic            text,
                     ADD COLUMN topic_arn        text,
                     ADD COLUMN subject          text,
                     ADD COLUMN attribute_types  jsonb,
                     ADD COLUMN sns_message_id   text,
                     ADD COLUMN group_id         text,
                     ADD COLUMN deduplication_id text,
                     ADD COLUMN sequence_number  text;

-- The term of `queue:`, see pipeline/search/terms.py. One rewrite of the table.
ALTER TABLE messages ALTER COLUMN terms TYPE tsvector
    USING terms || array_to_tsvector(ARRAY['queue=' || lower(queue)]);
