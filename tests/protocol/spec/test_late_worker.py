"""A worker that joins a running deployment brings its tools along; when it leaves, callers are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.protocol.spec.requests import listening
from tests.protocol.spec.stack import Stack
from tests.protocol.spec.wire import Wire
from tests.support.waiting import wait_until

CHANGED = "notifications/tools/list_changed"
LIST_CHANGED = "server/tools#list-changed-notification"
SAYING = "ext-tasks#tasks"


@dataclass
class Visit:
    """What was seen of one worker that came and went."""

    listed_before: set[str]
    told: list[str]
    listed: list[set[str]]
    text: str
    task: dict[str, Any]
    exit_code: int
    task_afterwards: dict[str, Any]
    cancelled_afterwards: dict[str, Any]


_visits: dict[Stack, Visit] = {}


@pytest.fixture
async def visit(stack: Stack, wire: Wire, other: Wire) -> Visit:
    """Starting a process is slow, so all tests here look at one and the same visit."""
    if stack not in _visits:
        _visits[stack] = await watched(stack, wire, other)
    return _visits[stack]


async def watched(stack: Stack, wire: Wire, other: Wire) -> Visit:
    before = await tools(wire)
    wanted = listening({"toolsListChanged": True})
    async with wire.stream(wanted) as here, other.stream(wanted) as there:
        worker = stack.work("tests.protocol.spec.latecomer")
        told: list[str] = []
        for stream in (here, there):
            await stream.next("notifications/subscriptions/acknowledged")
            told.append((await stream.next())["method"])
    listed = [await tools(client) for client in (wire, other)]
    text = (await other.call("late")).text
    task = await wire.reached(await other.create("late_task"), "completed")
    exit_code = await worker.stop()
    task_id = await other.create("late_task")

    async def explained() -> dict[str, Any] | None:
        found = await wire.task(task_id)
        return found if "statusMessage" in found else None

    afterwards = await wait_until(explained, describing="the task to say why it waits")
    assert afterwards is not None
    await wire.cancel(task_id)
    cancelled = await wire.reached(task_id, "cancelled")
    return Visit(before, told, listed, text, task, exit_code, afterwards, cancelled)


async def tools(wire: Wire) -> set[str]:
    return {tool["name"] for tool in (await wire.request("tools/list")).result["tools"]}


@pytest.mark.spec(LIST_CHANGED)
async def test_listeners_on_every_server_are_told_of_new_tools(visit: Visit):
    assert visit.told == [CHANGED, CHANGED]


@pytest.mark.spec(LIST_CHANGED)
async def test_who_is_told_of_new_tools_finds_them(visit: Visit):
    assert not {"late", "late_task"} & visit.listed_before
    assert all({"late", "late_task"} <= listed for listed in visit.listed)


@pytest.mark.spec("server/tools#calling-tools")
async def test_a_new_tool_is_used_like_any_other(visit: Visit):
    assert visit.text == "better late than never"
    assert visit.task["result"]["content"][0]["text"] == "better late than never"


@pytest.mark.spec(SAYING)
async def test_a_worker_that_is_told_to_stop_stops_in_order(visit: Visit):
    assert visit.exit_code == 0


@pytest.mark.spec(SAYING)
async def test_the_next_caller_is_told_that_nobody_works_on_it(visit: Visit):
    assert visit.task_afterwards["status"] == "working"
    assert "worker" in visit.task_afterwards["statusMessage"].lower()


@pytest.mark.spec("ext-tasks#task-cancellation")
async def test_what_nobody_works_on_can_be_cancelled(visit: Visit):
    assert visit.cancelled_afterwards["status"] == "cancelled"
    assert visit.cancelled_afterwards["statusMessage"] == "Cancelled"
