-- A store as release 0.1.0 filled it (pg_dump --column-inserts --no-owner --no-privileges).

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET client_min_messages = warning;

CREATE TABLE public.duplicates (
    seq bigint NOT NULL,
    message_id text NOT NULL,
    receive_count integer NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL
);

CREATE TABLE public.failed_tries (
    message_id text NOT NULL,
    receive_count integer NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    failed_at timestamp with time zone DEFAULT now() NOT NULL,
    error_type text NOT NULL,
    error text NOT NULL
);

CREATE TABLE public.failures (
    message_id text NOT NULL,
    identity bytea NOT NULL,
    source text NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    "time" timestamp with time zone NOT NULL,
    preview text NOT NULL,
    body text NOT NULL,
    attributes jsonb NOT NULL,
    error_type text NOT NULL,
    error text NOT NULL,
    traceback text NOT NULL,
    tries integer NOT NULL,
    first_failed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_failed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    dead_at timestamp with time zone,
    redriven_at timestamp with time zone,
    resolved_at timestamp with time zone
);

CREATE TABLE public.faults (
    one boolean DEFAULT true NOT NULL,
    fail double precision NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT faults_one_check CHECK (one)
);

CREATE TABLE public.messages (
    seq bigint NOT NULL,
    identity bytea NOT NULL,
    source text NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    "time" timestamp with time zone NOT NULL,
    body text NOT NULL,
    preview text NOT NULL,
    color text,
    sequence bigint,
    size integer NOT NULL,
    message_id text NOT NULL,
    receive_count integer NOT NULL,
    attributes jsonb NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    stored_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    terms tsvector NOT NULL
);

ALTER TABLE public.messages ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.messages_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.samples (
    at timestamp with time zone NOT NULL,
    stored integer NOT NULL,
    duplicates integer NOT NULL,
    failed integer NOT NULL,
    p50 double precision,
    p95 double precision,
    p99 double precision,
    visible integer,
    in_flight integer,
    delayed integer,
    dead integer
);

INSERT INTO public.duplicates (seq, message_id, receive_count, sent_at, received_at) VALUES (1, 'm-6', 1, '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00');

INSERT INTO public.failed_tries (message_id, receive_count, sent_at, received_at, failed_at, error_type, error) VALUES ('m-7', 1, '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.236672+00', 'ValueError', 'no price');
INSERT INTO public.failed_tries (message_id, receive_count, sent_at, received_at, failed_at, error_type, error) VALUES ('m-7', 2, '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.240213+00', 'ValueError', 'no price');
INSERT INTO public.failed_tries (message_id, receive_count, sent_at, received_at, failed_at, error_type, error) VALUES ('m-7', 3, '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.243567+00', 'ValueError', 'no price');
INSERT INTO public.failed_tries (message_id, receive_count, sent_at, received_at, failed_at, error_type, error) VALUES ('m-7', 4, '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.24556+00', 'ValueError', 'no price');
INSERT INTO public.failed_tries (message_id, receive_count, sent_at, received_at, failed_at, error_type, error) VALUES ('m-7', 5, '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.246621+00', 'ValueError', 'no price');
INSERT INTO public.failed_tries (message_id, receive_count, sent_at, received_at, failed_at, error_type, error) VALUES ('m-8', 1, '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.247435+00', 'KeyError', '''sku''');
INSERT INTO public.failed_tries (message_id, receive_count, sent_at, received_at, failed_at, error_type, error) VALUES ('m-9', 5, '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.250601+00', 'KeyError', '''x''');

INSERT INTO public.failures (message_id, identity, source, id, type, "time", preview, body, attributes, error_type, error, traceback, tries, first_failed_at, last_failed_at, dead_at, redriven_at, resolved_at) VALUES ('m-7', '\x4a9083197c7b126a044a1d9882944f3f71ec802a8b498d922a56936c09e0b625', '/shop', 'poison', 'shop.order', '2026-11-20 09:00:00+00', '{"sku":"P"}', '{"specversion": "1.0", "id": "poison", "source": "/shop", "type": "shop.order", "time": "2026-11-20T09:00:00.000000Z", "data": {"sku": "P"}}', '{}', 'ValueError', 'no price', 'Traceback …
ValueError: no price', 5, '2026-11-21 14:30:37.2373+00', '2026-11-21 14:30:37.246621+00', '2026-11-21 14:30:37.246621+00', NULL, NULL);
INSERT INTO public.failures (message_id, identity, source, id, type, "time", preview, body, attributes, error_type, error, traceback, tries, first_failed_at, last_failed_at, dead_at, redriven_at, resolved_at) VALUES ('m-8', '\x05ddc853be004bb7005834d2cfc79be03b8c6bf9892c50779f3044b080829b03', '/shop', 'retry', 'shop.order', '2026-11-20 09:00:00+00', '{"sku":"R"}', '{"specversion": "1.0", "id": "retry", "source": "/shop", "type": "shop.order", "time": "2026-11-20T09:00:00.000000Z", "data": {"sku": "R"}}', '{}', 'KeyError', '''sku''', 'Traceback …', 1, '2026-11-21 14:30:37.247575+00', '2026-11-21 14:30:37.247575+00', NULL, NULL, '2026-11-21 14:30:37.25004+00');
INSERT INTO public.failures (message_id, identity, source, id, type, "time", preview, body, attributes, error_type, error, traceback, tries, first_failed_at, last_failed_at, dead_at, redriven_at, resolved_at) VALUES ('m-9', '\x86ece22265a99ddc3ccf0e3929f23a3f67cab1851e44f936761f949a44f73914', '/shop', 'redriven', 'shop.order', '2026-11-20 09:00:00+00', '{"sku":"L"}', '{"specversion": "1.0", "id": "redriven", "source": "/shop", "type": "shop.order", "time": "2026-11-20T09:00:00.000000Z", "data": {"sku": "L"}}', '{}', 'KeyError', '''x''', 'Traceback …', 5, '2026-11-21 14:30:37.250727+00', '2026-11-21 14:30:37.250727+00', '2026-11-21 14:30:37.250601+00', '2026-11-21 14:30:37.251165+00', NULL);

INSERT INTO public.faults (one, fail, seen_at) VALUES (true, 0.25, '2026-11-21 14:30:37.252115+00');

INSERT INTO public.messages (seq, identity, source, id, type, "time", body, preview, color, sequence, size, message_id, receive_count, attributes, sent_at, received_at, stored_at, terms) OVERRIDING SYSTEM VALUE VALUES (1, '\xe704da97e1b7b0c6e604581c8137397d484f26b3fa0e4a49f14cdeb003aa6c59', '/shop', 'A-1', 'shop.order', '2026-11-20 09:00:00+00', '{"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "shop.order", "time": "2026-11-20T09:00:00.000000Z", "data": {"sku": "A-1", "price": 12, "text": "first"}}', 'first', NULL, NULL, 169, 'm-1', 1, '{"type": "shop.order", "tenant": "acme"}', '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.164666+00', '''1'' ''12'' ''a'' ''attr.tenant=acme'' ''attr.type=shop.order'' ''data.price=12'' ''data.sku=a-1'' ''data.text=first'' ''first'' ''id=a-1'' ''order'' ''price'' ''shop'' ''sku'' ''source=/shop'' ''text'' ''type=shop.order''');
INSERT INTO public.messages (seq, identity, source, id, type, "time", body, preview, color, sequence, size, message_id, receive_count, attributes, sent_at, received_at, stored_at, terms) OVERRIDING SYSTEM VALUE VALUES (2, '\xc62b9f8a3e0fc95dbda5aea5b46c43af05bbf2be1c290276b2d2ebffabf727d9', '/shop', 'A-2', 'shop.order', '2026-11-20 09:00:00+00', '{"specversion": "1.0", "id": "A-2", "source": "/shop", "type": "shop.order", "time": "2026-11-20T09:00:00.000000Z", "data": {"sku": "A-2", "nested": {"é": "ü\u0000", "n": 12345678901234567890}}}', '{"sku":"A-2","nested":{"é":"ü\u0000","n":12345678901234567890}}', NULL, NULL, 196, 'm-2', 1, '{}', '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.194127+00', '''12345678901234567890'' ''2'' ''a'' ''data.nested.n=12345678901234567890'' ''data.nested.é=ü\\u0000'' ''data.sku=a-2'' ''id=a-2'' ''n'' ''nested'' ''order'' ''shop'' ''sku'' ''source=/shop'' ''type=shop.order'' ''é'' ''ü''');
INSERT INTO public.messages (seq, identity, source, id, type, "time", body, preview, color, sequence, size, message_id, receive_count, attributes, sent_at, received_at, stored_at, terms) OVERRIDING SYSTEM VALUE VALUES (3, '\xd6419e367f0e98dacf432cfc8271041cca8c1edd6a3b82e1858bf22ce24d471b', '/sqs/broadcasts-consumer', 'm-3', 'fanout.text', '2026-11-20 09:00:03+00', 'plain words', 'plain words', NULL, NULL, 11, 'm-3', 1, '{}', '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.194179+00', '''3'' ''broadcasts'' ''consumer'' ''fanout'' ''id=m-3'' ''m'' ''plain'' ''source=/sqs/broadcasts-consumer'' ''sqs'' ''text'' ''type=fanout.text'' ''words''');
INSERT INTO public.messages (seq, identity, source, id, type, "time", body, preview, color, sequence, size, message_id, receive_count, attributes, sent_at, received_at, stored_at, terms) OVERRIDING SYSTEM VALUE VALUES (4, '\xe13f8a1e8df01d5ce466d66a0d718984aea662246e41c1e053aa5bb9b98d47a2', '/sqs/broadcasts-consumer', 'm-4', 'fanout.text', '2026-11-20 09:00:03+00', '{"any":"json"}', '{"any":"json"}', NULL, NULL, 14, 'm-4', 1, '{}', '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.194189+00', '''4'' ''any'' ''broadcasts'' ''consumer'' ''data.any=json'' ''fanout'' ''id=m-4'' ''json'' ''m'' ''source=/sqs/broadcasts-consumer'' ''sqs'' ''text'' ''type=fanout.text''');
INSERT INTO public.messages (seq, identity, source, id, type, "time", body, preview, color, sequence, size, message_id, receive_count, attributes, sent_at, received_at, stored_at, terms) OVERRIDING SYSTEM VALUE VALUES (5, '\x595c1641c2b3bb3057a0d8be4fafa402cc2fdc527f7962be9cef766cd948f27f', '/shop', 'copy', 'shop.order', '2026-11-20 09:00:00+00', '{"specversion": "1.0", "id": "copy", "source": "/shop", "type": "shop.order", "time": "2026-11-20T09:00:00.000000Z", "data": {"sku": "A-1"}, "fanoutcopyof": "/shop A-1"}', '{"sku":"A-1"}', NULL, NULL, 169, 'm-5', 1, '{}', '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.194202+00', '''1'' ''a'' ''copy'' ''copyof=/shop a-1'' ''data.sku=a-1'' ''id=copy'' ''order'' ''shop'' ''sku'' ''source=/shop'' ''type=shop.order''');
INSERT INTO public.messages (seq, identity, source, id, type, "time", body, preview, color, sequence, size, message_id, receive_count, attributes, sent_at, received_at, stored_at, terms) OVERRIDING SYSTEM VALUE VALUES (7, '\x4a9083197c7b126a044a1d9882944f3f71ec802a8b498d922a56936c09e0b625', '/shop', 'poison', 'shop.order', '2026-11-20 09:00:00+00', '{"specversion": "1.0", "id": "poison", "source": "/shop", "type": "shop.order", "time": "2026-11-20T09:00:00.000000Z", "data": {"sku": "P"}}', '{"sku":"P"}', NULL, NULL, 140, 'm-7', 1, '{}', '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.232541+00', '''data.sku=p'' ''id=poison'' ''order'' ''p'' ''poison'' ''shop'' ''sku'' ''source=/shop'' ''type=shop.order''');
INSERT INTO public.messages (seq, identity, source, id, type, "time", body, preview, color, sequence, size, message_id, receive_count, attributes, sent_at, received_at, stored_at, terms) OVERRIDING SYSTEM VALUE VALUES (8, '\x05ddc853be004bb7005834d2cfc79be03b8c6bf9892c50779f3044b080829b03', '/shop', 'retry', 'shop.order', '2026-11-20 09:00:00+00', '{"specversion": "1.0", "id": "retry", "source": "/shop", "type": "shop.order", "time": "2026-11-20T09:00:00.000000Z", "data": {"sku": "R"}}', '{"sku":"R"}', NULL, NULL, 139, 'm-8', 2, '{}', '2026-11-20 09:00:03+00', '2026-11-20 09:00:03.02+00', '2026-11-21 14:30:37.248846+00', '''data.sku=r'' ''id=retry'' ''order'' ''r'' ''retry'' ''shop'' ''sku'' ''source=/shop'' ''type=shop.order''');

INSERT INTO public.samples (at, stored, duplicates, failed, p50, p95, p99, visible, in_flight, delayed, dead) VALUES ('2026-11-21 14:30:30+00', 0, 0, 0, NULL, NULL, NULL, 1, 2, 3, 4);

SELECT pg_catalog.setval('public.messages_seq_seq', 8, true);

ALTER TABLE ONLY public.failures
    ADD CONSTRAINT failures_pkey PRIMARY KEY (message_id);

ALTER TABLE ONLY public.faults
    ADD CONSTRAINT faults_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_identity_key UNIQUE (identity);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY public.samples
    ADD CONSTRAINT samples_pkey PRIMARY KEY (at);

CREATE INDEX duplicates_seq ON public.duplicates USING btree (seq);

CREATE INDEX failed_tries_message_id ON public.failed_tries USING btree (message_id);

CREATE INDEX failures_identity ON public.failures USING btree (identity);

CREATE INDEX messages_stored_at ON public.messages USING brin (stored_at);

CREATE INDEX messages_terms ON public.messages USING gin (terms) WITH (gin_pending_list_limit='16384');

CREATE INDEX messages_time ON public.messages USING btree ("time");

ALTER TABLE ONLY public.duplicates
    ADD CONSTRAINT duplicates_seq_fkey FOREIGN KEY (seq) REFERENCES public.messages(seq) ON DELETE CASCADE;

ALTER TABLE ONLY public.failed_tries
    ADD CONSTRAINT failed_tries_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.failures(message_id) ON DELETE CASCADE;

