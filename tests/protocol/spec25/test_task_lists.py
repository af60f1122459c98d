"""`tasks/list`: all tasks that can be had, in pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.spec25.conftest import Connect
from tests.protocol.spec25.session import Session
from tests.protocol.spec25.test_task_results import ENDS


async def listed(session: Session) -> list[dict[str, Any]]:
    """All pages."""
    page = (await session.request("tasks/list")).result
    found: list[dict[str, Any]] = page["tasks"]
    while "nextCursor" in page:
        page = (await session.request("tasks/list", {"cursor": page["nextCursor"]})).result
        found = found + page["tasks"]
    return found


def facts(task: dict[str, Any]) -> dict[str, Any]:
    """What no answer may leave out."""
    return {key: value for key, value in task.items() if key != "statusMessage"}


async def test_every_task_is_listed_as_it_is(session: Session, connect: Connect):
    """basic/utilities/tasks#task-listing: what is retrievable via `tasks/get` MUST be listed."""
    tasks: dict[str, dict[str, Any]] = {}
    for tool, arguments, status in ENDS:
        task_id = await session.create(tool, arguments)
        tasks[task_id] = facts(await session.reached(task_id, status))
    for somebody in (session, await connect()):
        found = await listed(somebody)
        assert len({task["taskId"] for task in found}) == len(found)
        assert {task["taskId"]: facts(task) for task in found if task["taskId"] in tasks} == tasks


async def test_plain_calls_are_no_tasks(session: Session):
    """basic/utilities/tasks#task-listing: nobody was given their ids."""
    before = len(await listed(session))
    await session.call("succeed")
    assert len(await listed(session)) <= before


@pytest.mark.parametrize("cursor", ["nonsense", "", 7, "\x00"])
async def test_a_cursor_nobody_gave_is_an_error(session: Session, cursor: Any):
    """basic/utilities/tasks#protocol-errors: MUST be -32602."""
    assert (await session.request("tasks/list", {"cursor": cursor})).code == -32602
