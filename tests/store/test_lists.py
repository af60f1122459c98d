"""An owner's tasks in pages: newest first, each once, whatever comes and goes meanwhile."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from tasks_server.encoding import decode_json, encode_text
from tasks_server.errors import TaskNotFound
from tasks_server.task import OutcomeKind, Progress
from tasks_server.task_page import Place, read_cursor
from tests.store.record import (
    ATTACHED,
    OWNER,
    Record,
    claim,
    held,
    rpc_error,
)


async def listed(record: Record, limit: int, owner: str = OWNER) -> list[list[str]]:
    """The ids of all pages, each found by what the page before says to a client."""
    pages: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = await record.service.list(owner, None if cursor is None else read_cursor(cursor), limit)
        pages.append([task.id for task in page.tasks])
        if page.next is None:
            return pages
        cursor = page.next.as_cursor()


async def in_order(record: Record, number: int, **changes: Any) -> list[str]:
    """So many new tasks, newest first; two each of the same millisecond."""
    ids = [(await record.create(**changes)).id for _ in range(number)]
    for place, task_id in enumerate(ids):
        created = 1_000_000 + place // 2
        await record.sql("UPDATE task SET created_at = :at WHERE id = :id", at=created, id=task_id)
    return sorted(ids, key=lambda task_id: (ids.index(task_id) // 2, task_id), reverse=True)


async def test_the_newest_task_comes_first_and_each_comes_once(record: Record):
    ids = await in_order(record, 7)
    assert await listed(record, 7) == [ids]
    assert await listed(record, 3) == [ids[:3], ids[3:6], ids[6:]]
    assert await listed(record, 1) == [[task_id] for task_id in ids]
    assert await listed(record, 100, "nobody") == [[]]


async def test_new_and_vanished_tasks_do_not_move_the_next_page(record: Record):
    ids = await in_order(record, 6)
    first = await record.service.list(OWNER, None, 3)
    await record.create()
    await record.sql("DELETE FROM task WHERE id = :id", id=ids[2])  # where the page ended
    second = await record.service.list(OWNER, first.next, 3)
    assert [task.id for task in (*first.tasks, *second.tasks)] == ids
    assert second.next is None


async def test_only_what_was_handed_out_is_listed_and_only_to_its_owner(record: Record):
    mine = await record.create()
    await record.create(origin=ATTACHED)
    theirs = await record.create(owner="mallory")
    expired = await record.finished(retention_ms=0)
    assert await listed(record, 10) == [[mine.id]]
    assert await listed(record, 10, "mallory") == [[theirs.id]]
    with pytest.raises(TaskNotFound):
        await record.service.get(OWNER, expired.id)


ODD = {
    "content": [{"type": "text", "text": '\0 \\u0000 "isError":true'}],
    "structuredContent": {"isError": True},
}


@pytest.mark.parametrize(
    ("kind", "outcome", "shown"),
    [
        (OutcomeKind.RESULT, encode_text({**ODD, "content": [], "isError": True}), '{"isError":true}'),
        (OutcomeKind.RESULT, encode_text({**ODD, "isError": False}), "{}"),
        (OutcomeKind.RESULT, encode_text(ODD), "{}"),
        (OutcomeKind.RPC_ERROR, rpc_error("broken"), rpc_error("broken")),
        (OutcomeKind.CANCELLED, None, None),
    ],
)
async def test_a_page_does_not_carry_what_its_tasks_carry(
    record: Record, kind: OutcomeKind, outcome: str | None, shown: str | None
):
    worker = record.worker()
    claimed = await claim(worker, await record.create())
    await worker.finish(held(claimed), kind, outcome, Progress(1, 2), "so far")
    ended = await record.task(claimed.id)
    (task,) = (await record.service.list(OWNER, None, 10)).tasks
    assert task == replace(ended, arguments="{}", outcome=shown)


@pytest.mark.parametrize("text", ["The printer is on fire.", 'é "x"\n', "\0", "long " * 1_000])
async def test_a_page_says_how_an_error_begins(record: Record, text: str):
    worker = record.worker()
    claimed = await claim(worker, await record.create())
    first = {"type": "text", "text": text}
    result = encode_text({"content": [first, {"type": "text", "text": "and so on"}], "isError": True})
    await worker.finish(held(claimed), OutcomeKind.RESULT, result, None, None)
    (task,) = (await record.service.list(OWNER, None, 10)).tasks
    assert task.outcome is not None
    shown = decode_json(task.outcome)
    assert shown["isError"] is True
    if len(text) < 1_000 and "\0" not in text:
        assert shown["content"] == [first]


async def test_what_cannot_be_read_hides_nothing_else(record: Record):
    ids = await in_order(record, 5)
    for task_id in ids[1:3]:
        await record.sql("UPDATE task SET method = 'tools/dream' WHERE id = :id", id=task_id)
    assert await listed(record, 2) == [ids[:1], ids[3:4], ids[4:]]


def test_a_cursor_comes_back_as_the_place_it_names():
    place = Place(1_785_196_800_123, "0123456789abcdef")
    assert read_cursor(place.as_cursor()) == place


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        7,
        "",
        "é",
        "not base64",
        *(
            base64.urlsafe_b64encode(content).decode()
            for content in (
                b"not JSON",
                b"[]",
                b'["tools", 1, "a"]',
                b'["tasks", true, "a"]',
                b'["tasks", 1.5, "a"]',
                b'["tasks", 1, 2]',
                b'["tasks", 1, "\\u0000"]',
                b'["tasks", 1, "a", 2]',
                b'["tasks", 18446744073709551615, "a"]',
            )
        ),
    ],
)
def test_another_cursor_is_refused(cursor: object):
    with pytest.raises(ValueError):  # noqa: PT011 - any of them: the caller says it in its own words
        read_cursor(cursor)
