"""The checks every request must pass before its method is looked at, in the order the specification implies.

1. It is not the handshake of older revisions, else -32601.
2. `params._meta` names a protocol version and the client's capabilities, else -32602.
3. The headers say which version and method the body names, else -32020.
4. The version is one that is served, else -32022.
5. The headers say which name the body names where this version wants it, else -32020.
6. The method exists in that version, else -32601.

Sources: 2026-07-28 basic/index "_meta", basic/transports/streamable-http "Request Metadata".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tasks_server.errors import METHOD_NOT_FOUND, UNSUPPORTED_PROTOCOL_VERSION, RpcError
from tasks_server.protocol import headers as mirrored
from tasks_server.protocol.caller import CAPABILITIES_KEY, VERSION_KEY
from tasks_server.protocol.dialect import Dialect, NameSource
from tasks_server.protocol.headers import Headers
from tasks_server.protocol.jsonrpc import InvalidParams, Request


def read_meta(request: Request, served: Mapping[str, Dialect]) -> dict[str, Any]:
    """The request's `_meta`, with its two required fields present."""
    value = request.params.get("_meta")
    if not isinstance(value, dict):
        raise InvalidParams(f"params._meta is missing. {_offer(served)}")
    meta = cast("dict[str, Any]", value)
    for key in (VERSION_KEY, CAPABILITIES_KEY):
        if meta.get(key) is None:
            raise InvalidParams(f"params._meta['{key}'] is missing. {_offer(served)}")
    if not isinstance(meta[VERSION_KEY], str):
        raise InvalidParams(f"params._meta['{VERSION_KEY}'] must be a string.")
    return meta


def check_envelope(headers: Headers, request: Request, version: str) -> None:
    """Raise HeaderMismatch unless version and method are mirrored truly."""
    mirrored.check_mirrored(headers, mirrored.PROTOCOL_VERSION, version)
    mirrored.check_mirrored(headers, mirrored.METHOD, request.method)


def check_name(headers: Headers, request: Request, sources: Mapping[str, NameSource]) -> None:
    """Raise HeaderMismatch unless the name is mirrored truly; which one it is depends on the revision."""
    source = sources.get(request.method)
    if source is not None:
        mirrored.check_name(headers, source.param, request.params.get(source.param), source.required)


def choose_dialect(version: str, served: Mapping[str, Dialect]) -> Dialect:
    dialect = served.get(version)
    if dialect is None:
        raise RpcError(
            UNSUPPORTED_PROTOCOL_VERSION,
            f"Protocol version {version!r} is not served here in this way. {_offer(served)}",
            {"supported": list(served), "requested": version},
        )
    return dialect


def handshake_refused(request: Request, served: Mapping[str, Dialect]) -> RpcError:
    """The answer to `initialize`, which a client may show to a person: older clients cannot fall forward.

    Source: basic/versioning, "Backward Compatibility with Initialization-Based Versions".
    """
    requested = request.params.get("protocolVersion")
    data: dict[str, Any] = {"supported": list(served)}
    asked = ""
    if isinstance(requested, str):
        data["requested"] = requested
        asked = f", but this client asked for {requested}"
    return RpcError(
        METHOD_NOT_FOUND,
        f"Method not found: initialize. This server speaks MCP {_listed(served)}{asked}. "
        "Use a client that speaks it; there is no handshake any more.",
        data,
    )


def _offer(served: Mapping[str, Dialect]) -> str:
    return f"This server speaks MCP {_listed(served)}; older revisions begin with initialize."


def _listed(served: Mapping[str, Dialect]) -> str:
    return " or ".join(served)
