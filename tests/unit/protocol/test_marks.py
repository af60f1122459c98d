"""Event ids of sessions: what they hold, and what is none (2025-11-25 basic/transports#resumability-and-redelivery)."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from tasks_server.protocol.v2025_11_25.marks import (
    FollowMark,
    Numbering,
    Place,
    StandingMark,
    StreamKind,
    read_mark,
)

SESSION = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
MARKS = [
    FollowMark(StreamKind.CALL, "a" * 32, 7, None, Place()),
    FollowMark(StreamKind.RESULT, "a" * 32, "seven", "token", Place(12, 0.5, ("who", "süß/#?"))),
    FollowMark(StreamKind.WAIT, "a" * 32, -1, 0, Place(2**40, 3, ())),
    StandingMark(1_785_196_800_123),
]


def packed(content: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(content)).rstrip(b"=").decode()


@pytest.mark.parametrize("mark", MARKS, ids=str)
def test_an_id_brings_a_client_back_to_where_it_was(mark: FollowMark | StandingMark) -> None:
    text = Numbering(SESSION).write(mark)
    assert read_mark(text, SESSION) == mark
    assert all(0x21 <= ord(character) <= 0x7E for character in text)


@pytest.mark.parametrize("mark", MARKS, ids=str)
def test_an_id_is_good_in_its_own_session_only(mark: FollowMark | StandingMark) -> None:
    assert read_mark(Numbering(SESSION).write(mark), OTHER) is None


def test_no_id_comes_twice_in_a_session() -> None:
    first, second = Numbering(SESSION), Numbering(SESSION)
    written = [numbering.write(MARKS[0]) for numbering in (first, first, second, second)]
    assert len(set(written)) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "17",
        "not base64!",
        "ö",
        "A" * 10_000,
        packed([]),
        packed({"kind": "call"}),
        packed(["call", "a", 1, None, [0, None, []], "01234567", "s"]),
        packed(["dream", "a", 1, None, [0, None, []], "01234567", "s", 1]),
        packed(["call", "a", 1.5, None, [0, None, []], "01234567", "s", 1]),
        packed(["call", "a", None, None, [0, None, []], "01234567", "s", 1]),
        packed(["call", "a", True, None, [0, None, []], "01234567", "s", 1]),
        packed(["call", "a", 1, [], [0, None, []], "01234567", "s", 1]),
        packed(["call", "a", 1, None, [-1, None, []], "01234567", "s", 1]),
        packed(["call", "a", 1, None, [0, "far", []], "01234567", "s", 1]),
        packed(["call", "a", 1, None, [0, None, [1]], "01234567", "s", 1]),
        packed(["standing", -1, "01234567", "s", 1]),
        packed(["standing", "now", "01234567", "s", 1]),
    ],
)
def test_what_no_server_has_written_is_no_id(text: str) -> None:
    assert read_mark(text, SESSION) is None
