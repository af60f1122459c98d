"""Pages of a list, and how long a client may keep them (2026-07-28 server/utilities/pagination and caching)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tasks_server.protocol.pages import page
from tasks_server.protocol.v2026_07_28.results import complete

LIST_TTL_MS = 10_000

T = TypeVar("T")


def list_result(
    field: str,
    items: Sequence[T],
    params: dict[str, Any],
    key: Callable[[T], str],
    show: Callable[[T], dict[str, Any]],
) -> dict[str, Any]:
    """One page of `items` as the result of a list method, see `page`.

    Lists are the same for every caller, so they may be cached publicly.
    """
    shown = page(field, items, params, key, show)
    return complete(**shown, ttlMs=LIST_TTL_MS, cacheScope="public")
