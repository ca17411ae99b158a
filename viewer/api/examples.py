"""Examples of requests and answers, for the description of the API. A test checks them by their schemas."""

import json
from typing import Any

Json = dict[str, Any]

EVENT: Json = {
    "specversion": "1.0",
    "id": "A-1",
    "source": "/shop",
    "type": "shop.order",
    "time": "2026-01-31T12:00:00.000000Z",
    "data": {"order": 42, "text": "two lamps"},
}
EVENT_TEXT = json.dumps(EVENT)
ATTRIBUTES: Json = {"type": "shop.order", "source": "/shop", "tenant": "acme"}
WITH_ATTRIBUTES: Json = {"message": {"text": "hello"}, "attributes": {"tenant": "acme", "priority": 5}}

SUMMARY: Json = {
    "seq": 1034,
    "source": "/shop",
    "id": "A-1",
    "type": "shop.order",
    "time": "2026-01-31T12:00:00.004000Z",
    "event_time": "2026-01-31T12:00:00.000000Z",
    "preview": "two lamps",
    "color": None,
    "sequence": None,
    "size": 143,
    "receive_count": 1,
    "stored_at": "2026-01-31T12:00:00.021000Z",
    "latency_seconds": 0.017,
    "since_previous_seconds": 4.2,
    "tries": 1,
    "status": None,
    "conflict_of": None,
    "queue": "broadcasts-consumer",
    "topic": "broadcasts",
    "subject": "An order",
}
MESSAGE_LIST: Json = {"messages": [SUMMARY], "cursor": 1034}
INCOMPLETE_LIST: Json = {
    "messages": [],
    "cursor": 1034,
    "near_misses": [{"failed": "data.order:43", "actual": "data.order is 42", "message": SUMMARY}],
    "report": "No message matched data.order:43 within 10 s.\n- message 1034 (shop.order: two lamps)\n"
    "  missed data.order:43: data.order is 42",
}
FACET_COUNTS: Json = {
    "counted": 120,
    "complete": True,
    "facets": {"type": [{"value": "shop.order", "count": 80}, {"value": "shop.refund", "count": 40}]},
}
STATUSES: Json = {"from": 1001, "statuses": [{"seq": 1034, "status": "dead", "tries": 5}]}

SQS_ID = "1f2a6c1e-3c38-4b3f-9d0e-5a0f6a0d6c11"
STORING: Json = {
    "message_id": SQS_ID,
    "receive_count": 1,
    "sent_at": "2026-01-31T12:00:00.004000Z",
    "received_at": "2026-01-31T12:00:00.012000Z",
    "stored_at": "2026-01-31T12:00:00.021000Z",
}
PUBLICATION: Json = {
    "attribute_types": {"type": "String", "source": "String", "tenant": "String"},
    "topic_arn": "arn:aws:sns:us-east-1:000000000000:broadcasts",
    "sns_message_id": "6d3c1a86-2a0c-4d0e-8f2e-0f7a1c5f9b1e",
    "group_id": None,
    "deduplication_id": None,
    "sequence_number": None,
}
WHOLE: Json = {
    **SUMMARY,
    **PUBLICATION,
    "data": EVENT["data"],
    "data_base64": None,
    "body": EVENT_TEXT,
    "attributes": ATTRIBUTES,
}
EXPORTED: Json = {**WHOLE, "deliveries": [STORING]}
MESSAGE_DETAIL: Json = {
    **WHOLE,
    "deliveries": [{**STORING, "duplicate": False, "failed_at": None, "error_type": None, "error": None}],
    "outcomes": [],
    "copy_of": None,
    "copies": [1040],
    "conflicts": [],
    "is_event": True,
    "has_own_id": True,
}
PUBLISHED_COPY: Json = {
    "id": "1b671a64-40d5-491e-99b0-da01ff1f3341",
    "source": "/shop",
    "identity": "new",
    "topic": "broadcasts",
    "message_id": "6d3c1a86-2a0c-4d0e-8f2e-0f7a1c5f9b1e",
}
NDJSON = json.dumps(EXPORTED) + "\n"
CSV = (
    "seq,time,event_time,type,source,id,preview,size,receive_count,stored_at,latency_seconds,since_previous_seconds,"
    "attributes,body,conflict_of,queue,topic,subject,attribute_types,sns_message_id,group_id,deduplication_id,"
    "sequence_number\n"
    "1034,2026-01-31T12:00:00.004000Z,2026-01-31T12:00:00.000000Z,shop.order,/shop,A-1,two lamps,143,1,"
    "2026-01-31T12:00:00.021000Z,0.017,"
    '4.2,"{""tenant"": ""acme""}","{""specversion"": …}",,broadcasts-consumer,broadcasts,An order,'
    '"{""tenant"": ""String""}",6d3c1a86-2a0c-4d0e-8f2e-0f7a1c5f9b1e,,,\n'
)
STREAM = (
    'retry: 1000\nevent: ready\ndata: {"after":1033}\n\n'
    f"id: 1034\nevent: message\ndata: {json.dumps(SUMMARY)}\n\n"
    "id: 1034\n: heartbeat\n\n"
)

DEAD_LETTER: Json = {
    "queue": "broadcasts-consumer",
    "message_id": SQS_ID,
    **{name: SUMMARY[name] for name in ("source", "id", "type", "time", "preview")},
    "error_type": "KeyError",
    "error": "'sku'",
    "traceback": "Traceback (most recent call last):\n  …\nKeyError: 'sku'",
    "tries": 5,
    "first_failed_at": "2026-01-31T12:00:00.015000Z",
    "last_failed_at": "2026-01-31T12:01:10.015000Z",
    "dead_at": "2026-01-31T12:01:10.015000Z",
    "redriven_at": None,
    "status": "dead",
    "lost_at": None,
    "lost_reason": None,
    "copy_succeeded_at": None,
}
DEAD_LETTERS: Json = {"dead_letters": [DEAD_LETTER]}
DEAD_LETTER_DETAIL: Json = {
    **DEAD_LETTER,
    "event_time": "2026-01-31T12:00:00.000000Z",
    **PUBLICATION,
    "topic": "broadcasts",
    "subject": "An order",
    "body": EVENT_TEXT,
    "attributes": ATTRIBUTES,
    "copy_of": None,
    "copies": [],
}
REDRIVE: Json = {
    "status": "running",
    "moved": 3,
    "total": 12,
    "started_at": "2026-01-31T12:05:00.000000Z",
    "reason": None,
    "not_found": 0,
    "to": "broadcasts-consumer",
}
REDRIVE_STATE: Json = {
    "from": "broadcasts-consumer-dlq",
    "to": "broadcasts-consumer",
    "queues": ["broadcasts-consumer"],
    "waiting": 9,
    "redrive": REDRIVE,
}

UP: Json = {"state": "up", "reason": None}
DEPTH: Json = {"name": "broadcasts-consumer", "visible": 2, "in_flight": 1, "delayed": 0}
LATENCY: Json = {"p50": 0.02, "p95": 0.05, "p99": 0.11}
FIGURES: Json = {
    "total": 1034,
    "oldest": "2026-01-31T09:00:00.000000Z",
    "per_second": 0.3,
    "last_minute": 18,
    **LATENCY,
}
PIPELINE: Json = {
    "services": {"producer": UP, "consumer": UP, "viewer": UP},
    "topic": {"name": "broadcasts", **UP},
    "queue": {**DEPTH, **UP},
    "dead_letter_queue": {**DEPTH, "name": "broadcasts-consumer-dlq", **UP},
    "store": FIGURES,
    "faults": None,
    "taps": [{"queue": "fanout-tap", "topics": ["orders"], "left_out": ["broadcasts"], "problems": []}],
}
STATS: Json = {
    "window": "5m",
    "begin": "2026-01-31T11:55:00.000000Z",
    "width_seconds": 5.0,
    "now": FIGURES,
    "points": [
        {
            "at": "2026-01-31T12:00:00.000000Z",
            **{"stored": 2, "duplicates": 0, "failed": 1, **LATENCY},
            **{"visible": 2, "in_flight": 1, "delayed": 0, "dead": 12},
        }
    ],
}
WAITING_MESSAGES: Json = {
    "queue": DEPTH,
    "messages": [
        {
            "message_id": SQS_ID,
            "state": "visible",
            "receive_count": 0,
            "sent_at": "2026-01-31T12:00:00.004000Z",
            "body": EVENT_TEXT,
            "attributes": ATTRIBUTES,
            "size": 143,
        }
    ],
    "reason": None,
}
METRICS = '# TYPE fanout_aws_requests_total counter\nfanout_aws_requests_total{operation="Publish"} 12.0\n'

COUNTED: Json = {"count": 42, "exact": True, "suggestion": None}
FIELDS: Json = {"messages": [{"seq": 1034, "fields": {"data.order.id": "A-1", "attr.tenant": "acme"}}]}
PURGED: Json = {"queue": "broadcasts-consumer", "messages": 3}
EXACT: Json = {"body": '{"order": {"id": "A-1"}}', "attributes": {"tenant": "acme"}, "subject": ""}

_ORDERS = "arn:aws:sns:us-east-1:000000000000:orders"
_BILLING = "arn:aws:sqs:us-east-1:000000000000:billing"
_READ_AT = "2026-01-31T12:00:00.000000Z"
_SUBSCRIPTION: Json = {
    "arn": f"{_ORDERS}:6d3c1a86-2a0c-4d0e-8f2e-0f7a1c5f9b1e",
    "protocol": "sqs",
    "endpoint": _BILLING,
    "own": False,
    "state": "confirmed",
    "raw": True,
    "filter_policy": {"region": ["eu"]},
    "filter_scope": "MessageAttributes",
    "filter_problem": None,
    "dead_letter_queue": None,
    "read_at": _READ_AT,
}
TOPOLOGY: Json = {
    "endpoint": {"url": "http://localhost:4566", "region": "us-east-1", "aws": False},
    "read_at": _READ_AT,
    "slot_seconds": 10,
    "topics": [
        {
            "name": "orders",
            "arn": _ORDERS,
            "fifo": False,
            "subscriptions": [_SUBSCRIPTION],
            "last_minute": 12,
            "last_message": {"seq": 42, "time": _READ_AT},
        }
    ],
    "queues": [
        {
            "name": "billing",
            "arn": _BILLING,
            "fifo": False,
            "state": "known",
            "visible": 3,
            "in_flight": 1,
            "delayed": 0,
            "dead_letter_queue": f"{_BILLING}-dlq",
            "max_receive_count": 5,
            "oldest_sent_at": _READ_AT,
            "depths": [0, 7, 4],
            "read_at": _READ_AT,
        }
    ],
    "gaps": [{"action": "sqs:ListQueues", "reason": "not allowed: AccessDenied"}],
}
DRAFT: Json = {
    "topic": "orders",
    "body": '{"order": 42}',
    "attributes": {"region": "us", "priority": 5, "tags": {"type": "String.Array", "value": '["new"]'}},
}
DESTINATIONS: Json = {
    "topic": "orders",
    "read_at": _READ_AT,
    "destinations": [
        {
            "subscription": _SUBSCRIPTION,
            "taken": False,
            "reason": 'region is "us", the policy wants "eu"',
        }
    ],
    "unknown": None,
    "note": "by the filter policies as they are now",
}
REPLAY: Json = {
    "id": 7,
    "q": "type:shop.order after:1h",
    "topic": "orders-test",
    "queue": None,
    "per_second": 10,
    "identity": None,
    "status": "running",
    "total": 120,
    "sent": 41,
    "failed": 0,
    "skipped": 1,
    "reasons": [{"outcome": "skipped", "reason": "it was deleted meanwhile", "count": 1, "first": 1034}],
    "in_hand": 1077,
    "reason": None,
    "started_at": "2026-01-31T12:05:00.000000Z",
    "ended_at": None,
}
REPLAY_BODY: Json = {"q": "type:shop.order after:1h", "topic": "orders-test", "per_second": 10}
REPLAYS: Json = {"replays": [REPLAY]}
