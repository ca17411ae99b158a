-- `time` becomes when SNS or SQS took a message. The time that it states itself, if any, is `event_time`.

ALTER TABLE messages ADD COLUMN event_time timestamptz, -- by the publisher's clock
                     ADD COLUMN title text; -- what happened, in words; shown in place of the preview
-- One rewrite of the table. Until now a message that states no time had that of SQS.
ALTER TABLE messages ALTER COLUMN event_time TYPE timestamptz USING nullif(time, sent_at),
                     ALTER COLUMN time TYPE timestamptz USING sent_at;

ALTER TABLE failures ADD COLUMN title text;
UPDATE failures f SET time = coalesce(
    (SELECT min(t.sent_at) FROM failed_tries t WHERE t.queue = f.queue AND t.message_id = f.message_id), f.time);
