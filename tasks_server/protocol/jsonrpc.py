"""JSON-RPC 2.0 as MCP uses it: what a message is, how it is read, how answers are written.

Knows nothing of revisions, transports or methods. Every encoded message is one line, because clients may read
streams line by line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import orjson

from tasks_server.errors import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    MISSING_CLIENT_CAPABILITY,
    PARSE_ERROR,
    RpcError,
)

MAX_DEPTH = 200
"""How deep a message may be nested. What is read has to be written again, into the record and into results, and
orjson reads deeper than it writes."""

_ROOM_AROUND = 50
"""How much deeper it may become on the way, inside other objects."""

_TOO_DEEP = f"The message is nested too deeply; {MAX_DEPTH} levels are accepted."

RequestId = str | int
Result = dict[str, Any] | orjson.Fragment


@dataclass(frozen=True, slots=True)
class Request:
    """A message that wants an answer."""

    id: RequestId
    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notification:
    """A message that wants none."""

    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Response:
    """A client's answer to a request of the server. error is set if it is an error."""

    id: RequestId
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class MalformedMessage(RpcError):
    """Not a message at all. request_id is the sender's id where it could still be read."""

    def __init__(self, code: int, message: str, request_id: RequestId | None = None) -> None:
        super().__init__(code, message)
        self.request_id = request_id


class InvalidParams(RpcError):
    """-32602: the method exists, what it was given does not fit."""

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(INVALID_PARAMS, message, data)


class MissingClientCapability(RpcError):
    """-32021: answering would need something the client did not declare on this request.

    required is a ClientCapabilities object with exactly what is missing.
    """

    def __init__(self, required: dict[str, Any], reason: str) -> None:
        super().__init__(MISSING_CLIENT_CAPABILITY, reason, {"requiredCapabilities": required})


def parse(body: bytes) -> Request | Notification:
    """Read one message.

    Raises MalformedMessage with -32700 for what is not JSON and -32600 for JSON that is not a single request
    or notification (batches and posted responses included), or is nested too deeply to be passed on.
    """
    message = decode(body)
    if isinstance(message, list):
        raise MalformedMessage(INVALID_REQUEST, "Batches are not supported; send every message by itself.")
    return _checked(_object(message))


def decode(body: bytes) -> Any:
    """The JSON that a message or a batch is made of.

    Raises MalformedMessage for what is not JSON, or is nested too deeply to be passed on.
    """
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # Deeper than is read at all, it may be JSON or not.
        reason = _TOO_DEEP if "depth limit" in error.msg else f"The message is not valid JSON: {error}"
        raise MalformedMessage(PARSE_ERROR, reason) from None
    _check_depth(decoded, body)
    return decoded


def read_message(decoded: Any) -> Request | Notification | Response:
    """One message as a client of a session may send it. Raises MalformedMessage."""
    message = _object(decoded)
    if "method" not in message and ("result" in message or "error" in message):
        return _response(message)
    return _checked(message)


def encode_result(request_id: RequestId, result: Result) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": request_id, "result": result})


def encode_error(request_id: RequestId | None, error: RpcError) -> bytes:
    """An unreadable id is left out: null is not a RequestId."""
    message: dict[str, Any] = {"jsonrpc": "2.0"}
    if request_id is not None:
        message["id"] = request_id
    message["error"] = error.as_object()
    return orjson.dumps(message)


def encode_request(request_id: RequestId, method: str, params: dict[str, Any]) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def encode_notification(method: str, params: dict[str, Any]) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "method": method, "params": params})


def _object(decoded: Any) -> dict[str, Any]:
    if not isinstance(decoded, dict):
        raise MalformedMessage(INVALID_REQUEST, "A message must be a JSON object.")
    return cast("dict[str, Any]", decoded)


def _response(message: dict[str, Any]) -> Response:
    request_id = _readable_id(message)
    if message.get("jsonrpc") != "2.0":
        raise MalformedMessage(INVALID_REQUEST, 'jsonrpc must be "2.0".')
    if request_id is None:
        raise MalformedMessage(INVALID_REQUEST, "A response needs the id of its request.")
    result, error = message.get("result"), message.get("error")
    if isinstance(error, dict) and "result" not in message:
        return Response(request_id, None, cast("dict[str, Any]", error))
    if isinstance(result, dict) and "error" not in message:
        return Response(request_id, cast("dict[str, Any]", result), None)
    raise MalformedMessage(INVALID_REQUEST, "A response has either a result or an error, which are objects.")


def _checked(message: dict[str, Any]) -> Request | Notification:
    has_id = "id" in message
    readable = _readable_id(message)
    if message.get("jsonrpc") != "2.0":
        raise MalformedMessage(INVALID_REQUEST, 'jsonrpc must be "2.0".', readable)
    method = message.get("method")
    if not isinstance(method, str):
        reason = "method must be a string; only the answer to a request of the server has none."
        raise MalformedMessage(INVALID_REQUEST, reason, readable)
    params = message.get("params", {})
    if not isinstance(params, dict):
        raise MalformedMessage(INVALID_REQUEST, "params must be an object.", readable)
    if not has_id:
        return Notification(method, cast("dict[str, Any]", params))
    if readable is None:
        raise MalformedMessage(INVALID_REQUEST, "id must be a string or an integer.")
    return Request(readable, method, cast("dict[str, Any]", params))


def _check_depth(decoded: Any, body: bytes) -> None:
    # Hardly a message has enough brackets to be worth a look.
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    surrounded: Any = decoded
    for _ in range(_ROOM_AROUND):
        surrounded = [surrounded]
    try:
        orjson.dumps(surrounded)
    except orjson.JSONEncodeError:
        request_id = _readable_id(cast("dict[str, Any]", decoded)) if isinstance(decoded, dict) else None
        raise MalformedMessage(INVALID_REQUEST, _TOO_DEEP, request_id) from None


def _readable_id(message: dict[str, Any]) -> RequestId | None:
    request_id = message.get("id")
    return request_id if is_request_id(request_id) else None


def is_request_id(value: object) -> TypeGuard[RequestId]:
    """Whether a request may have this as its id."""
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
