"""The loop to measure against: boto3, one thread, receive ten, delete ten, store nothing.

`python -m tests.bench.bare_consumer COUNT [--latency]` ends after so many messages and prints the seconds
from the first to the last; with --latency one figure a message, from its publishing to its receipt.
"""

import json
import os
import sys
import time
from datetime import datetime
from typing import Any

import boto3


def main(count: int, *, latency: bool) -> None:
    sqs: Any = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=os.environ["QUEUE_NAME"])["QueueUrl"]
    received, began = 0, 0.0
    while received < count:
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20, MessageAttributeNames=["All"]
        )
        now = time.time()
        messages = answer.get("Messages", [])
        began = began or time.monotonic()
        if latency:
            for message in messages:
                print(now - datetime.fromisoformat(json.loads(message["Body"])["time"]).timestamp())
        if messages:
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        received += len(messages)
    if not latency:
        print(time.monotonic() - began)


if __name__ == "__main__":
    main(int(sys.argv[1]), latency="--latency" in sys.argv)
