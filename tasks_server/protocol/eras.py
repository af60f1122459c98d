"""Whether a message belongs to a revision with a handshake or to one without: the only place that tells.

The `_meta` of 2026-07-28 decides, and so does `initialize` without it. Otherwise the version header does, and
without one, that a session is named. What says none of this is judged by the newer rules.
"""

from __future__ import annotations

from typing import Any, cast

from tasks_server.protocol.caller import VERSION_KEY
from tasks_server.protocol.v2025_11_25.handshake import HANDSHAKE
from tasks_server.protocol.v2025_11_25.revisions import REVISIONS


def has_handshake(decoded: Any, version: str | None, *, names_session: bool) -> bool:
    """version: what the header `MCP-Protocol-Version` says, where there are headers."""
    if isinstance(decoded, dict):
        message = cast("dict[str, Any]", decoded)
        if _describes_itself(message):
            return False
        if message.get("method") == HANDSHAKE:
            return True
    return version in REVISIONS or names_session


def _describes_itself(message: dict[str, Any]) -> bool:
    params = message.get("params")
    meta = cast("dict[str, Any]", params).get("_meta") if isinstance(params, dict) else None
    return isinstance(meta, dict) and VERSION_KEY in meta
