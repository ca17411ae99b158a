-- The last message of each topic is looked up: see pipeline/store/topics.py. SNS allows names of 256 characters; a
-- forged one may be longer than an index takes.
CREATE INDEX messages_topic ON messages (topic, seq) WHERE length(topic) <= 256;
