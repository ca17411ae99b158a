-- Failures whose message is neither in the queue nor in its dead-letter queue any more, and why that is known.
-- 'queue': they were created anew since; 'retention': SQS deleted it; 'missing': nobody knows what became of it.

ALTER TABLE failures ADD COLUMN lost_at timestamptz;
ALTER TABLE failures ADD COLUMN lost_reason text CHECK (lost_reason IN ('queue', 'retention', 'missing'));
-- When the same message succeeded under another SQS id: sent twice, or sent back by another tool.
ALTER TABLE failures ADD COLUMN copy_succeeded_at timestamptz;

CREATE INDEX failures_open ON failures (queue, last_failed_at) WHERE resolved_at IS NULL;
