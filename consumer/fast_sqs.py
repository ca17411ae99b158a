"""SQS without boto3's overhead, for the requests that a consumer makes with every batch.

For each request boto3 resolves the endpoint, serializes the parameters and parses the response according to
the service model, which takes a large part of a consumer's CPU time. SQS speaks the "AWS JSON 1.0 protocol",
in which parameters and results are plain JSON, so all three steps can be skipped.

Everything else is left to the boto3 client that is passed in: its signer signs the request, its HTTP session
sends it (connection pool, TLS, CA bundle, proxies, timeouts), its `before-send` handlers are called, and
errors are raised as its exceptions.
"""

import http.client
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.exceptions import ClientError
from botocore.parsers import JSONParser, ResponseParserError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_QUOTED = 100  # characters of a response that an error message repeats


class FastSqs:
    """A faster way to call operations of an SQS client. Threads may share it."""

    def __init__(self, sqs: "SQSClient") -> None:
        """Use the client's settings and connections; nothing connects yet."""
        self._client: Any = sqs
        self._url = _with_path(sqs.meta.endpoint_url)
        # Private to botocore, but nothing public has the client's credentials, CA bundle and proxies.
        self._signer: Any = sqs._request_signer  # type: ignore[attr-defined]
        self._http_session: Any = sqs._endpoint.http_session  # type: ignore[attr-defined]

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation, named as in the "Amazon SQS API Reference", and return its result.

        Neither parameters nor result are validated, and failed requests are not retried. Raises ClientError
        if SQS refuses the request, ResponseParserError if the response does not come from SQS, and otherwise
        what the client raises.
        """
        response = self._send(operation, self._sign(operation, parameters))
        status, body = response["status_code"], response["body"]
        result = _json_object(body)
        if result is not None and status == http.client.OK:
            return result
        if result is not None and "__type" in result:
            no_shape: Any = None  # errors are parsed without
            raise ClientError(JSONParser().parse(response, no_shape), operation)
        # Whatever sent this would also answer the next requests on these connections.
        self._client.close()
        # What begins like a result may contain messages.
        quoted = "JSON" if body.lstrip().startswith(b"{") else body[:MAX_QUOTED].decode(errors="replace")
        raise ResponseParserError(f"the response to {operation} is not from SQS: status {status}, {quoted!r}")

    def _sign(self, operation: str, parameters: Mapping[str, Any]) -> AWSPreparedRequest:
        request: Any = AWSRequest(
            method="POST",
            url=self._url,
            headers={
                "Content-Type": "application/x-amz-json-1.0",
                "User-Agent": self._client.meta.config.user_agent,
                "X-Amz-Target": f"AmazonSQS.{operation}",
                # Asks for the error codes that the client's users know.
                "X-Amzn-Query-Mode": "true",
            },
            data=json.dumps(parameters).encode(),
        )
        signer = self._signer
        signer.get_auth_instance(signer.signing_name, signer.region_name).add_auth(request)
        # request.prepare() does the same, but makes headers of a class that is slow to send.
        headers: Any = dict(request.headers.items())
        return AWSPreparedRequest(request.method, request.url, headers, request.data, stream_output=False)

    def _send(self, operation: str, request: AWSPreparedRequest) -> dict[str, Any]:
        """Return the response in the form that botocore parses."""
        # Handlers of this event count requests, or respond in place of AWS.
        hooks = self._client.meta.events
        _, response = hooks.emit_until_response(f"before-send.sqs.{operation}", request=request)
        if response is None:
            response = self._http_session.send(request)
        return {
            "status_code": response.status_code,
            "headers": response.headers,
            "body": response.content,
        }


def _with_path(url: str) -> str:
    """Add the path that a proxy expects in a URL, as boto3 does."""
    return url if urlsplit(url).path else f"{url}/"


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
