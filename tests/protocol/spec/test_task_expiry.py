"""What has ended is kept for as long as it was promised, and is then as unknown as if it had never been."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import TASKS, Request, listening
from tests.protocol.spec.wire import Wire
from tests.support.waiting import wait_until

TTL = "ext-tasks#task-polling"
ERRORS = "ext-tasks#protocol-errors"

KEPT_SECONDS = 0.5  # as `soon_forgotten` declares


def expires_at(task: dict[str, Any]) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(task["createdAt"]).timestamp() + task["ttlMs"] / 1000


@pytest.mark.spec(TTL)
async def test_a_task_that_has_ended_is_kept_until_its_time_is_over_and_not_longer(wire: Wire, notes: Notes):
    notes.leave("go")
    task_id = await wire.create("soon_forgotten", notes.directory)
    ended = await wire.reached(task_id, "completed")

    async def refused() -> float | None:
        reply = await wire.request("tasks/get", {"taskId": task_id}, TASKS)
        if "result" in reply.message:
            assert reply.result == ended
            return None
        assert reply.error["code"] == -32602
        return time.time()

    refused_at = await wait_until(refused, 5, describing="the task to be forgotten")
    assert refused_at is not None
    assert refused_at >= expires_at(ended)
    assert refused_at - expires_at(ended) < 1, "it is the clock that decides, not when somebody cleans up"


@pytest.mark.spec(TTL)
async def test_a_task_is_kept_for_as_long_after_its_end_however_long_it_took(wire: Wire, notes: Notes):
    task_id = await wire.create("soon_forgotten", notes.directory)
    working = await wire.task(task_id)
    assert expires_at(working) > time.time()
    notes.leave("go")
    ended = await wire.reached(task_id, "completed")
    ended_at = datetime.fromisoformat(ended["lastUpdatedAt"]).timestamp()
    assert expires_at(ended) == pytest.approx(ended_at + KEPT_SECONDS, abs=0.002)


@pytest.mark.spec(ERRORS)
async def test_an_expired_task_is_as_unknown_as_one_that_never_was(wire: Wire, other: Wire, notes: Notes):
    notes.leave("go")
    task_id = await wire.create("soon_forgotten", notes.directory)

    async def expired() -> bool:
        return "error" in (await wire.request("tasks/get", {"taskId": task_id}, TASKS)).message

    await wait_until(expired, 5, describing="the task to be forgotten")
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        params: dict[str, Any] = {"inputResponses": {}} if method == "tasks/update" else {}
        expected = (await other.send(Request.of(method, {"taskId": "unknown", **params}, TASKS))).error
        assert (await other.send(Request.of(method, {"taskId": task_id, **params}, TASKS))).error == expected
    async with other.stream(listening({"taskIds": [task_id]}, TASKS)) as stream:
        assert (await stream.next())["params"]["notifications"].get("taskIds", []) == []
