"""Calling SQS directly, for what a consumer asks of it with every batch.

More than half of the CPU time of a consumer that stores what it receives went into boto3: for each request it
resolves the endpoint, builds the request and reads the answer by the service's model, and asks its hooks. But
SQS speaks JSON ("AWS JSON 1.0 protocol"): what a request needs is its parameters, a signature and a
connection that is kept open. `make bench` shows what that comes to beside a loop of boto3. All else is the
SDK's: credentials, endpoint, region, time-outs, hooks and errors.
"""

import functools
import hashlib
import hmac
import http.client
import json
import os
import ssl
import weakref
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import boto3
from botocore import exceptions, xform_name
from botocore.awsrequest import AWSPreparedRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.httpsession import get_cert_path
from botocore.parsers import JSONParser, ResponseParserError
from botocore.utils import get_environ_proxies

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class FastSqs:
    """A short cut past a boto3 client of SQS, with its endpoint, region, time-outs and hooks.

    Threads may share it. Where a proxy is in between, the client itself is used.
    """

    def __init__(self, sqs: "SQSClient") -> None:
        """Connect nothing yet."""
        self._client: Any = sqs
        self._url = f"{sqs.meta.endpoint_url}/"
        self._endpoint = urlsplit(self._url)
        self._credentials = boto3.Session().get_credentials()
        self._is_proxied = bool(get_environ_proxies(self._url))
        self._idle: deque[Any] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation by its name in the "Amazon SQS API Reference".

        Neither parameters nor answer are checked, and nothing is repeated. Raises the client's errors, though
        of what AWS refuses always ClientError itself.
        """
        if self._is_proxied:
            return getattr(self._client, xform_name(operation))(**parameters)  # type: ignore[no-any-return]
        request = self._signed(operation, json.dumps(parameters).encode())
        # Who counts requests, or answers them in AWS's place, does it at this event of botocore.
        hooks = self._client.meta.events
        _, given = hooks.emit_until_response(f"before-send.sqs.{operation}", request=request)
        if given is None:
            status, headers, body = self._send(request)
        else:
            status, headers, body = given.status_code, given.headers, given.content
        if status != http.client.OK:
            answer = {"status_code": status, "headers": headers, "body": body}
            model = self._client.meta.service_model.operation_model(operation)
            raise exceptions.ClientError(JSONParser().parse(answer, model.output_shape), operation)
        try:
            return json.loads(body)  # type: ignore[no-any-return]
        except ValueError as error:
            raise ResponseParserError(f"the answer to {operation} is not JSON: {error}") from None

    def _signed(self, operation: str, body: bytes) -> AWSPreparedRequest:
        if self._credentials is None:
            raise exceptions.NoCredentialsError
        credentials = self._credentials.get_frozen_credentials()
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "host": self._endpoint.netloc,
            "x-amz-date": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
            "x-amz-target": f"AmazonSQS.{operation}",
        }
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        region = self._client.meta.region_name
        headers["authorization"] = _authorization(headers, self._endpoint.path, body, credentials, region)
        headers["user-agent"] = self._client.meta.config.user_agent
        headers["content-length"] = str(len(body))
        # It takes any mapping, which its types do not say.
        return AWSPreparedRequest("POST", self._url, headers, body, stream_output=False)  # type: ignore[arg-type]

    def _send(self, request: Any) -> tuple[int, Any, bytes]:
        lines = [f"POST {self._endpoint.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        connection = self._open_connection()
        try:
            connection.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + request.body)
            answer = http.client.HTTPResponse(connection.sock, method="POST")
            answer.begin()
            body = answer.read()
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise exceptions.ReadTimeoutError(endpoint_url=self._url, error=error) from None
            if isinstance(error, (OSError, http.client.HTTPException)):
                raise exceptions.ConnectionClosedError(endpoint_url=self._url, error=error) from None
            raise
        if answer.will_close:
            connection.close()
        self._idle.append(connection)
        return answer.status, answer.headers, body

    def _open_connection(self) -> Any:
        try:
            connection: Any = self._idle.pop()
        except IndexError:
            connection = self._new_connection()
        if connection.sock is None:  # new, or closed after an answer that asked for it
            self._connect(connection)
        return connection

    def _connect(self, connection: Any) -> None:
        try:
            connection.connect()
        except TimeoutError as error:
            raise exceptions.ConnectTimeoutError(endpoint_url=self._url, error=error) from None
        except ssl.SSLError as error:
            raise exceptions.SSLError(endpoint_url=self._url, error=error) from None
        except OSError as error:
            raise exceptions.EndpointConnectionError(endpoint_url=self._url, error=error) from None
        connection.sock.settimeout(self._client.meta.config.read_timeout)

    def _new_connection(self) -> http.client.HTTPConnection:
        host, port = self._endpoint.hostname or "", self._endpoint.port
        connect_timeout = self._client.meta.config.connect_timeout
        if self._endpoint.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=connect_timeout)
        # As for the client ("Configuration", Boto3 documentation).
        trusted: Any = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True
        context = ssl.create_default_context(cafile=get_cert_path(trusted))
        return http.client.HTTPSConnection(host, port, timeout=connect_timeout, context=context)


def _close_all(idle: deque[Any]) -> None:
    for connection in idle:
        connection.close()


def _authorization(
    headers: Mapping[str, str], path: str, body: bytes, credentials: ReadOnlyCredentials, region: str
) -> str:
    """Sign a POST with these headers, x-amz-date among them, all named in lower case.

    The steps are those of "Create a signed AWS API request" (AWS Identity and Access Management).
    """
    named = sorted(headers.items())
    names = ";".join(name for name, _ in named)
    lines = "".join(f"{name}:{value}\n" for name, value in named)
    request = f"POST\n{quote(path)}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    time = headers["x-amz-date"]
    scope = f"{time[:8]}/{region}/sqs/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(_signing_key(credentials.secret_key, scope), text.encode(), "sha256").hex()
    credential = f"{credentials.access_key}/{scope}"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"


@functools.lru_cache(maxsize=4)
def _signing_key(secret: str, scope: str) -> bytes:
    """Return the key for this secret and scope, which is good for a day."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
