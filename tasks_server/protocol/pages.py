"""Pages of a list. A cursor names the last item of the page before, so it stays good while the list changes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import orjson

from tasks_server.protocol.jsonrpc import InvalidParams

PAGE_SIZE = 200

T = TypeVar("T")


def page(
    field: str,
    items: Sequence[T],
    params: dict[str, Any],
    key: Callable[[T], str],
    show: Callable[[T], dict[str, Any]],
) -> dict[str, Any]:
    """One page of `items` under `field`, and `nextCursor` if there are more.

    key identifies an item within its list. Raises InvalidParams for a cursor that did not come from this list.
    """
    start = _after(field, items, params, key)
    shown = items[start : start + PAGE_SIZE]
    result: dict[str, Any] = {field: [show(item) for item in shown]}
    if start + PAGE_SIZE < len(items):
        result["nextCursor"] = _cursor(field, key(shown[-1]))
    return result


def _after(field: str, items: Sequence[T], params: dict[str, Any], key: Callable[[T], str]) -> int:
    if "cursor" not in params:
        return 0
    last = _read_cursor(field, params["cursor"])
    for index, item in enumerate(items):
        if key(item) == last:
            return index + 1
    raise InvalidParams("The cursor has expired: the list has changed. List again from the start.")


def _cursor(field: str, last: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([field, last])).decode()


def _read_cursor(field: str, cursor: object) -> str:
    try:
        if isinstance(cursor, str):
            content = cast("list[str]", orjson.loads(base64.urlsafe_b64decode(cursor)))
            if content[0] == field:
                return content[1]
    except (binascii.Error, ValueError, LookupError, TypeError):
        pass
    raise InvalidParams("The cursor is not one that this list has returned.")
