"""FastSqs sends what the boto3 client would send, and a bad connection or response harms one call at most.

That the results are boto3's too is tested in test_emulators.py, whose queue uses FastSqs.
"""

import contextlib
import io
import itertools
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.client import parse_headers
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import auth, exceptions
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.parsers import ResponseParserError
from urllib3 import HTTPResponse

from consumer.fast_sqs import FastSqs
from consumer.queue import Queue
from local.emulators import aws_environment
from pipeline.aws import sqs_client
from pipeline.retry import AWS_ERRORS

WAIT_SECONDS = 10


class Connection:
    """The server's end of one connection; `number` counts from 1."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.number = number
        self.sock = sock
        self._stream = sock.makefile("rb")

    def read(self) -> "Request | None":
        """Return the next request; None when the client has closed the connection."""
        line = self._stream.readline().decode()
        if not line:
            return None
        headers = parse_headers(self._stream)
        body = self._stream.read(int(headers["Content-Length"]))
        return Request(line.split()[1], {name.lower(): value for name, value in headers.items()}, body)

    def send(self, text: str) -> None:
        self.sock.sendall(text.encode())

    def respond(
        self, body: str, status: str = "200 OK", content_type: str = "application/x-amz-json-1.0"
    ) -> None:
        self.send(
            f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )

    def close(self) -> None:
        self._stream.close()
        self.sock.close()


class Request:
    def __init__(self, target: str, headers: dict[str, str], body: bytes) -> None:
        self.target, self.headers, self.body = target, headers, body


class Server:
    """A server in the place of SQS. `play` is given each connection, in a thread of its own."""

    def __init__(self, play: Callable[[Connection], None], certificate: dict[str, str] | None = None) -> None:
        self._play = play
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate["TLS_CERTFILE"], certificate["TLS_KEYFILE"])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # of the listener when it is closed
            for number in itertools.count(1):
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[sock, number], daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with sock, contextlib.suppress(OSError):  # of clients that hang up
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with contextlib.closing(Connection(sock, number)) as connection:
                self._play(connection)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


Serve = Callable[..., Server]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server, and let the AWS_* variables name it."""
    started: list[Server] = []

    def start(play: Callable[[Connection], None], certificate: dict[str, str] | None = None) -> Server:
        server = Server(play, certificate)
        started.append(server)
        for name, value in aws_environment(server.port).items():
            monkeypatch.setenv(name, value)
        if certificate:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.port}")
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make boto3 read credentials and configuration again, not remember those of the test before."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def echo(connection: Connection) -> None:
    """Respond to each request with its parameters, so that a mix-up would show."""
    while request := connection.read():
        connection.respond(request.body.decode())


def echo_after(play: Callable[[Connection], None], connections: int = 1) -> Callable[[Connection], None]:
    """Play on the first connection or connections, and echo on all later ones."""
    return lambda connection: (play if connection.number <= connections else echo)(connection)


def receive(sqs: FastSqs, name: str = "queue") -> dict[str, Any]:
    return sqs.call("ReceiveMessage", {"QueueUrl": name})


# ---- the request


@pytest.mark.parametrize("token", ["", "a/session+token=="])
@pytest.mark.parametrize(
    "endpoint",
    [
        "http://localhost:4566",
        "http://localhost:4566/",
        "http://localhost:4566/aws",
        "http://localhost:4566/a~b/c%20d",
        "http://localhost:80",
        "https://localhost:443",
        "https://localhost",
    ],
)
def test_the_signed_request_is_the_one_that_boto3_sends(
    token: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws_environment(0).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: datetime(2026, 2, 3, 4, 5, 6))
    sent: list[tuple[str, dict[str, str], object]] = []

    def keep(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
            # The ids and numbers of attempts are not signed; the length is added to both when they are sent.
            if not name.startswith("amz-sdk-") and name != "Content-Length"
        }
        sent.append((request.url, headers, request.body))
        return AWSResponse(
            request.url, 200, HTTPHeaders(), HTTPResponse(io.BytesIO(b"{}"), preload_content=False)
        )

    sqs: Any = sqs_client(5)
    sqs.meta.events.register("before-send", keep)
    entries = [{"Id": "0", "ReceiptHandle": "é\u2028"}]

    sqs.receive_message(QueueUrl="http://queue", MaxNumberOfMessages=10)
    sqs.delete_message_batch(QueueUrl="http://queue", Entries=entries)
    fast = FastSqs(sqs)
    fast.call("ReceiveMessage", {"QueueUrl": "http://queue", "MaxNumberOfMessages": 10})
    fast.call("DeleteMessageBatch", {"QueueUrl": "http://queue", "Entries": entries})

    assert sent[2:] == sent[:2]
    assert all("Signature=" in headers["authorization"] for _, headers, _ in sent)


def test_without_credentials_nothing_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[Connection] = []
    serve(connections.append)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(exceptions.NoCredentialsError):
        receive(FastSqs(sqs_client(5)))
    assert connections == []


def test_a_session_token_cannot_add_a_header(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    injected: list[str | None] = []

    def play(connection: Connection) -> None:
        while request := connection.read():
            injected.append(request.headers.get("x-injected"))
            connection.respond("{}")

    serve(play)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token\r\nX-Injected: yes")

    with pytest.raises(exceptions.HTTPClientError, match="Invalid header value"):
        receive(FastSqs(sqs_client(5)))
    assert injected == []


@pytest.mark.parametrize("through", ["environment", "configuration"])
def test_a_proxy_is_used_where_one_is_set(
    through: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets: list[str] = []
    message = {"MessageId": "1", "ReceiptHandle": "r", "Body": "hi", "Attributes": {"SentTimestamp": "1000"}}
    message["MessageAttributes"] = {"raw": {"DataType": "Binary", "BinaryValue": "AP8="}}

    def play(connection: Connection) -> None:
        while request := connection.read():
            targets.append(request.target)
            connection.respond(json.dumps({"QueueUrl": "http://queue", "Messages": [message]}))

    proxy = f"http://127.0.0.1:{serve(play).port}"
    [direct] = Queue(sqs_client(5), "queue", 30).receive(0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://sqs.example.test")
    if through == "environment":
        monkeypatch.setenv("HTTP_PROXY", proxy)
        client = sqs_client(5)
    else:
        client = boto3.client("sqs", config=Config(proxies={"http": proxy}))

    [proxied] = Queue(client, "queue", 30).receive(0)

    assert targets == ["/", "/", *["http://sqs.example.test/"] * 2]
    assert direct.attributes == proxied.attributes == {"raw": "AP8="}
    assert direct.message == proxied.message


def test_after_a_lost_response_a_fifo_queue_is_asked_for_the_same_messages(serve: Serve) -> None:
    """Otherwise their groups would wait for the visibility timeout."""
    asked: list[str] = []

    def play(connection: Connection) -> None:
        while request := connection.read():
            parameters = json.loads(request.body)
            if "QueueName" in parameters:
                connection.respond('{"QueueUrl": "http://queue.fifo"}')
                continue
            asked.append(parameters["ReceiveRequestAttemptId"])
            if len(asked) == 1:
                return
            if len(asked) == 3:
                refusal = '{"__type": "ThrottlingException", "message": "Rate exceeded"}'
                connection.respond(refusal, "400 Bad Request")
            else:
                connection.respond("{}")

    serve(play)
    queue = Queue(sqs_client(5), "queue.fifo", 30)
    receive, receive_next = queue.receiver(0), queue.receiver(0)

    with pytest.raises(AWS_ERRORS):
        receive()
    assert receive() == []
    with pytest.raises(AWS_ERRORS):
        receive_next()
    assert receive_next() == []

    lost, repeated, refused, after_refusal = asked
    assert lost == repeated
    assert len({repeated, refused, after_refusal}) == 3


def test_a_standard_queue_is_asked_without_an_attempt_id(serve: Serve) -> None:
    asked: list[str] = []

    def play(connection: Connection) -> None:
        while request := connection.read():
            asked.append(request.body.decode())
            connection.respond('{"QueueUrl": "http://queue"}')

    serve(play)
    Queue(sqs_client(5), "queue", 30).receiver(0)()

    assert len(asked) == 2
    assert not any("AttemptId" in body for body in asked)


@pytest.mark.parametrize("source", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"])
def test_only_a_server_that_the_ca_bundle_trusts_is_spoken_to(
    source: str,
    serve: Serve,
    certificate: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    serve(echo, certificate)
    with pytest.raises(exceptions.SSLError, match="certificate"):
        receive(FastSqs(sqs_client(5)))

    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    if source == "ca_bundle":
        config = tmp_path / "config"
        config.write_text(f"[default]\nca_bundle = {certificate['TLS_CERTFILE']}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    else:
        monkeypatch.setenv(source, certificate["TLS_CERTFILE"])

    assert receive(FastSqs(sqs_client(5))) == {"QueueUrl": "queue"}


# ---- connections


def test_a_connection_is_kept_for_the_next_call(serve: Serve) -> None:
    def play(connection: Connection) -> None:
        while connection.read():
            connection.respond(f'{{"connection": {connection.number}}}')

    serve(play)
    sqs = FastSqs(sqs_client(5))

    assert [receive(sqs)["connection"] for _ in range(3)] == [1, 1, 1]


def test_connections_that_a_restarted_server_closed_cost_no_call(serve: Serve) -> None:
    open_connections: list[Connection] = []
    all_asked = threading.Barrier(8)

    def play(connection: Connection) -> None:
        open_connections.append(connection)
        connection.read()
        all_asked.wait(WAIT_SECONDS)
        connection.respond("{}")
        restarted.wait(WAIT_SECONDS)

    restarted = threading.Event()
    serve(echo_after(play, connections=8))
    sqs = FastSqs(sqs_client(5))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: receive(sqs), range(8)))
    for connection in open_connections:
        connection.sock.shutdown(socket.SHUT_RDWR)
    restarted.set()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: receive(sqs, str(number)), range(8)))

    assert results == [{"QueueUrl": str(number)} for number in range(8)]


def test_a_call_after_a_cut_connection_opens_another(serve: Serve) -> None:
    def play(connection: Connection) -> None:
        connection.read()

    serve(echo_after(play))
    sqs = FastSqs(sqs_client(5))

    with pytest.raises(exceptions.ConnectionClosedError, match="closed before we received a valid response"):
        receive(sqs)
    assert receive(sqs) == {"QueueUrl": "queue"}


def test_a_response_that_nobody_asked_for_is_never_taken_for_the_next(serve: Serve) -> None:
    may_send, sent = threading.Event(), threading.Event()

    def play(connection: Connection) -> None:
        connection.read()
        connection.respond("{}")
        may_send.wait(WAIT_SECONDS)
        connection.respond('{"QueueUrl": "unsolicited"}')
        sent.set()
        echo(connection)

    serve(echo_after(play))
    sqs = FastSqs(sqs_client(5))
    receive(sqs)
    may_send.set()
    assert sent.wait(WAIT_SECONDS)

    assert [receive(sqs, name) for name in ("1", "2")] == [{"QueueUrl": "1"}, {"QueueUrl": "2"}]


def test_a_response_after_the_read_timeout_is_never_taken_for_the_next(serve: Serve) -> None:
    gave_up, sent = threading.Event(), threading.Event()

    def play(connection: Connection) -> None:
        connection.read()
        gave_up.wait(WAIT_SECONDS)
        with contextlib.suppress(OSError):
            connection.respond('{"QueueUrl": "late"}')
        sent.set()
        echo(connection)

    serve(echo_after(play))
    sqs = FastSqs(sqs_client(0.2))
    with pytest.raises(exceptions.ReadTimeoutError, match="Read timeout on endpoint URL"):
        receive(sqs)
    gave_up.set()
    assert sent.wait(WAIT_SECONDS)

    assert [receive(sqs, name) for name in ("1", "2")] == [{"QueueUrl": "1"}, {"QueueUrl": "2"}]


def test_a_refused_connection_is_an_endpoint_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:  # but not listening
        bound.bind(("127.0.0.1", 0))
        for name, value in aws_environment(bound.getsockname()[1]).items():
            monkeypatch.setenv(name, value)

        with pytest.raises(exceptions.EndpointConnectionError, match="Could not connect"):
            receive(FastSqs(sqs_client(5)))


def test_an_unreachable_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws_environment(0).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://sqs.example.test")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{bound.getsockname()[1]}")

        with pytest.raises(exceptions.ProxyConnectionError, match="Failed to connect to proxy"):
            receive(FastSqs(sqs_client(5)))


# ---- the response


def test_a_chunked_response_is_read_and_a_connection_that_ends_with_it_is_replaced(serve: Serve) -> None:
    def play(connection: Connection) -> None:
        connection.read()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        connection.send("1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")

    serve(play)
    sqs = FastSqs(sqs_client(5))

    assert [receive(sqs) for _ in range(2)] == [{}, {}]


@pytest.mark.usefixtures("names")
def test_a_refusal_says_what_boto3_says() -> None:
    sqs, missing = sqs_client(5), "http://localhost/000000000000/missing"

    with pytest.raises(exceptions.ClientError) as of_boto3:
        sqs.receive_message(QueueUrl=missing)
    with pytest.raises(exceptions.ClientError) as fast:
        receive(FastSqs(sqs), missing)

    assert str(fast.value) == str(of_boto3.value)
    assert fast.value.response["Error"] == of_boto3.value.response["Error"]


def test_a_refusal_keeps_its_connection(serve: Serve) -> None:
    def play(connection: Connection) -> None:
        while connection.read():
            body = {"__type": "com.amazonaws.sqs#OverLimit", "message": f"on {connection.number}"}
            connection.respond(json.dumps(body), "400 Bad Request")

    serve(play)
    sqs = FastSqs(sqs_client(5))

    for _ in range(2):
        with pytest.raises(exceptions.ClientError, match=r"\(OverLimit\) .*: on 1"):
            receive(sqs)


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        ("404 Not Found", "text/plain", ""),
        ("502 Bad Gateway", "text/html", "<h1>Bad Gateway</h1>"),
        ("200 OK", "text/html", "<h1>Welcome</h1>"),
        ("200 OK", "application/json", "[1]"),
        ("404 Not Found", "application/json", '{"message": "Not Found"}'),
        ("404 Not Found", "application/json", "[]"),
        ("204 No Content", "application/json", ""),
    ],
)
def test_a_response_that_is_not_from_sqs_is_an_error_to_retry_and_closes_its_connection(
    status: str, content_type: str, body: str, serve: Serve
) -> None:
    closed = threading.Event()

    def play(connection: Connection) -> None:
        connection.read()
        connection.respond(body, status, content_type)
        if connection.read() is None:
            closed.set()

    serve(echo_after(play))
    sqs = FastSqs(sqs_client(5))

    with pytest.raises(AWS_ERRORS, match=f"not from SQS: status {status[:3]}"):
        receive(sqs)
    assert closed.wait(WAIT_SECONDS)
    assert receive(sqs) == {"QueueUrl": "queue"}


@pytest.mark.parametrize("interim", ["102 Processing", "103 Early Hints\r\nLink: </style.css>"])
def test_an_interim_response_is_an_error_and_the_final_one_is_never_taken_for_the_next(
    interim: str, serve: Serve
) -> None:
    def play(connection: Connection) -> None:
        while request := connection.read():
            if connection.number == 1:
                connection.send(f"HTTP/1.1 {interim}\r\n\r\n")
            connection.respond(request.body.decode())

    serve(play)
    sqs = FastSqs(sqs_client(5))

    with pytest.raises(ResponseParserError, match=f"status {interim[:3]}"):
        receive(sqs, "1")
    assert [receive(sqs, name) for name in ("2", "3")] == [{"QueueUrl": "2"}, {"QueueUrl": "3"}]


def test_continue_is_skipped(serve: Serve) -> None:
    def play(connection: Connection) -> None:
        while request := connection.read():
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            connection.respond(request.body.decode())

    serve(play)
    sqs = FastSqs(sqs_client(5))

    assert [receive(sqs, name) for name in ("1", "2")] == [{"QueueUrl": "1"}, {"QueueUrl": "2"}]
