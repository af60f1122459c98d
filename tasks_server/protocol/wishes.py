"""What a request may ask for its task beside the call itself: an idempotency key, a priority.

MCP has neither. The header is the IETF's draft (httpapi, "The Idempotency-Key HTTP Header Field"), the `_meta`
keys are ours; over a pipe there are only those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tasks_server.protocol.dialect import Call
from tasks_server.protocol.headers import HeaderMismatch
from tasks_server.protocol.jsonrpc import InvalidParams
from tasks_server.task import HIGHEST_PRIORITY, LOWEST_PRIORITY

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
IDEMPOTENCY_KEY = "tasks-server/idempotencyKey"
PRIORITY = "tasks-server/priority"
LONGEST_KEY = 255

_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


@dataclass(frozen=True, slots=True)
class Wishes:
    """None: the request does not say."""

    idempotency_key: str | None
    priority: int | None


def read_wishes(call: Call) -> Wishes:
    """Raises InvalidParams for a wish that cannot be understood, or that is said twice and differently."""
    meta: dict[str, Any] = call.params.get("_meta") or {}
    return Wishes(_idempotency_key(call, meta), _priority(meta))


def _idempotency_key(call: Call, meta: dict[str, Any]) -> str | None:
    in_header = _header(call)
    in_meta: Any = meta.get(IDEMPOTENCY_KEY)
    if in_header is not None:
        _check_key(in_header, f"The header {IDEMPOTENCY_KEY_HEADER}")
    if in_meta is not None:
        _check_key(in_meta, f"params._meta['{IDEMPOTENCY_KEY}']")
    if in_header is not None and in_meta is not None and in_header != in_meta:
        raise InvalidParams(
            f"The header {IDEMPOTENCY_KEY_HEADER} and params._meta['{IDEMPOTENCY_KEY}'] must say the same; "
            "give the key once."
        )
    return in_meta if in_header is None else in_header


def _header(call: Call) -> str | None:
    try:
        value = None if call.headers is None else call.headers.get(IDEMPOTENCY_KEY_HEADER)
    except HeaderMismatch:
        raise InvalidParams(
            f"The header {IDEMPOTENCY_KEY_HEADER} must be given once, in printable ASCII."
        ) from None
    if value is None or not value.startswith('"'):
        return value
    quoted = _QUOTED.fullmatch(value)
    if quoted is None:
        raise InvalidParams(f"The header {IDEMPOTENCY_KEY_HEADER} is a quoted string that does not end.")
    return re.sub(r"\\(.)", r"\1", quoted[1])


def _check_key(key: Any, where: str) -> None:
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise InvalidParams(f"{where} must be a string of 1 to {LONGEST_KEY} printable characters.")


def _priority(meta: dict[str, Any]) -> int | None:
    priority: Any = meta.get(PRIORITY)
    if priority is None:
        return None
    is_integer = isinstance(priority, int) and not isinstance(priority, bool)
    if not is_integer or not LOWEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
        raise InvalidParams(
            f"params._meta['{PRIORITY}'] must be an integer from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}."
        )
    return priority
