"""What is answered over HTTP outside of streams: JSON-RPC responses, and refusals of what is no message yet."""

from __future__ import annotations

import math

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tasks_server.errors import INTERNAL_ERROR, INVALID_REQUEST, RpcError
from tasks_server.protocol.answers import Final
from tasks_server.protocol.jsonrpc import encode_error
from tasks_server.transport.guards import BodyTooLarge, BodyTooSlow, read_body
from tasks_server.transport.load import RETRY_AFTER_SECONDS, Admitted

SESSION_ID = "Mcp-Session-Id"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"


def json_response(final: Final, status: int | None = None) -> Response:
    """An error of the protocol is an exchange that has worked, so its status is 200 unless it says otherwise."""
    headers: dict[str, str] = {}
    if final.retry_after_ms is not None:
        headers["Retry-After"] = str(math.ceil(final.retry_after_ms / 1000))
    if final.session is not None:
        headers[SESSION_ID] = final.session
    return Response(final.payload, status or final.status or 200, headers, JSON)


def refusal(status: int, reason: str, **headers: str) -> Response:
    return Response(encode_error(None, RpcError(INVALID_REQUEST, reason)), status, headers, JSON)


def come_back_later() -> Response:
    """The answer to what an overloaded process takes no notice of."""
    error = RpcError(INTERNAL_ERROR, "The server is busy with as much as it takes; try again in a moment.")
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Response(encode_error(None, error), 503, headers, JSON)


async def body_or_refusal(request: Request, limit: int, admitted: Admitted) -> bytes | Response:
    """The whole body of a request, or what to answer: too large, too slow, or by its own account not plain JSON.

    Raises Overloaded.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        return refusal(415, f"The body must be {JSON}.")
    if (coding := request.headers.get("content-encoding", "").strip().lower()) not in ("", "identity"):
        reason = f"A body with Content-Encoding {coding!r} is not read; send it as it is."
        return refusal(415, reason, **{"Accept-Encoding": "identity"})
    try:
        return await read_body(request, limit, admitted)
    except BodyTooLarge:
        return refusal(413, f"The body is larger than {limit} bytes.")
    except BodyTooSlow:
        return refusal(408, "The body did not come in time.", Connection="close")
    except ClientDisconnect:
        return Response(status_code=400)
