"""Pages of a list: server/utilities/pagination and caching."""

from __future__ import annotations

from typing import Any

import pytest

from tasks_server.protocol.jsonrpc import InvalidParams
from tasks_server.protocol.pages import PAGE_SIZE
from tasks_server.protocol.v2026_07_28.pages import list_result

NAMES = [f"tool-{number:04}" for number in range(2 * PAGE_SIZE + 1)]


def page(names: list[str], **params: Any) -> dict[str, Any]:
    return list_result("tools", names, params, key=str, show=lambda name: {"name": name})


def shown(result: dict[str, Any]) -> list[str]:
    return [tool["name"] for tool in result["tools"]]


def test_following_the_cursors_gives_everything_once() -> None:
    seen: list[str] = []
    result = page(NAMES)
    seen += shown(result)
    while "nextCursor" in result:
        result = page(NAMES, cursor=result["nextCursor"])
        seen += shown(result)
    assert seen == NAMES


def test_every_page_says_how_long_it_may_be_kept() -> None:
    first = page(NAMES)
    for result in (first, page(NAMES, cursor=first["nextCursor"])):
        assert result["ttlMs"] >= 0
        assert result["cacheScope"] == "public"


@pytest.mark.parametrize("count", [0, 1, PAGE_SIZE])
def test_what_fits_on_one_page_has_no_cursor(count: int) -> None:
    assert "nextCursor" not in page(NAMES[:count])


def test_a_cursor_stays_good_when_the_list_grows_before_it() -> None:
    cursor = page(NAMES)["nextCursor"]
    assert shown(page(["a-new-one", *NAMES], cursor=cursor))[0] == NAMES[PAGE_SIZE]


def test_a_cursor_whose_item_has_gone_is_refused() -> None:
    cursor = page(NAMES)["nextCursor"]
    with pytest.raises(InvalidParams, match="expired"):
        page([name for name in NAMES if name != NAMES[PAGE_SIZE - 1]], cursor=cursor)


@pytest.mark.parametrize(
    "cursor", ["", "?", "bm9uc2Vuc2U=", "WyJ0b29scyJd", "e30=", "MQ==", "W1sidG9vbHMiXV0=", "ü", 7, None, []]
)
def test_a_cursor_that_was_never_given_out_is_refused(cursor: Any) -> None:
    with pytest.raises(InvalidParams):
        page(NAMES, cursor=cursor)


def test_a_cursor_of_another_list_is_refused() -> None:
    other = list_result("prompts", NAMES, {}, key=str, show=lambda name: {"name": name})["nextCursor"]
    with pytest.raises(InvalidParams):
        page(NAMES, cursor=other)


def test_cursors_survive_any_name() -> None:
    odd = '"ü/%\n'
    names = [*NAMES[: PAGE_SIZE - 1], odd, "after"]
    assert shown(page(names, cursor=page(names)["nextCursor"])) == ["after"]
