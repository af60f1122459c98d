"""Tools that fail for a passing reason, on a real worker."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tasks_server.encoding import decode_json
from tasks_server.lifecycle.failures import Failures
from tasks_server.task import Task, TaskStatus
from tests.races.stumbling import walk, walk_in_a_process, walk_in_a_thread
from tests.races.working import settled, working
from tests.store.record import OWNER, Record
from tests.support.waiting import wait_until
from workers import TaskContext, Transient, tool


def with_stones(directory: Path, count: int) -> str:
    directory.mkdir()
    for number in range(count):
        (directory / str(number)).touch()
    return str(directory)


@pytest.mark.parametrize("function", [walk, walk_in_a_thread, walk_in_a_process], ids=lambda f: f.__name__)
async def test_a_tool_that_fails_twice_and_then_succeeds(record: Record, tmp_path: Path, function: object):
    stones = with_stones(tmp_path / "stones", 2)
    async with working(record, walk, walk_in_a_thread, walk_in_a_process):
        name = getattr(function, "__name__", "")
        task = await record.create(name=name, arguments=f'{{"stones":"{stones}"}}', max_retries=4)
        ended = await settled(record, task.id, 50)
    assert ended.status is TaskStatus.COMPLETED
    assert ended.outcome is not None
    assert "arrived" in ended.outcome
    assert (ended.attempt, ended.retries_used, ended.crashes) == (2, 2, 0)
    events = [(kind, body["attempt"]) for kind, body in await record.events(task.id)]
    assert events == [("attempt", 0), ("failed", 0), ("attempt", 1), ("failed", 1), ("attempt", 2)]


async def test_retries_that_are_used_up_end_in_an_error_result(record: Record, tmp_path: Path):
    stones = with_stones(tmp_path / "stones", 9)
    async with working(record, walk):
        task = await record.create(name="walk", arguments=f'{{"stones":"{stones}"}}', max_retries=1)
        ended = await settled(record, task.id)
    assert ended.status is TaskStatus.COMPLETED
    assert ended.outcome is not None
    result = decode_json(ended.outcome)
    assert result["isError"] is True
    assert result["content"][0]["text"].startswith("There was a stone. This was the last of 2 attempts;")
    assert ended.status_message == "Attempt 2 of 2 failed: There was a stone."
    assert (ended.attempt, ended.retries_used) == (1, 1)


async def test_the_pause_that_the_other_side_asks_for_is_kept(record: Record):
    @tool(retry_delay="0.02s")
    async def knock() -> None:
        """Comes at a bad time."""
        raise Transient("Nobody is at home.", retry_after="2h")

    async with working(record, knock):
        task = await record.create(name="knock", arguments="{}")

        async def waits() -> bool:
            return (await record.task(task.id)).retries_used == 1

        await wait_until(waits, describing="the first failure")
        row = await record.row(task.id)
        assert row["next_dispatch_at"] - row["updated_at"] >= 2 * 60 * 60 * 1000
        assert row["status_message"].endswith("The next one starts in 120 min.")


async def test_a_cancel_that_comes_while_the_tool_fails_wins(record: Record):
    started = asyncio.Event()

    @tool(retry_delay="0.02s")
    async def fail_when_cancelled(ctx: TaskContext) -> None:
        """Mistakes its cancellation for a bad connection."""
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Transient("The line went dead.") from None

    async with working(record, fail_when_cancelled):
        task = await record.create(name="fail_when_cancelled", arguments="{}")
        await started.wait()
        await record.service.cancel(OWNER, task.id)
        ended = await settled(record, task.id)
    assert (ended.status, ended.retries_used) == (TaskStatus.CANCELLED, 0)


async def test_a_database_outage_at_that_moment_is_waited_out(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.endings.FINISH_PAUSE_SECONDS", 0.01)
    stones = with_stones(tmp_path / "stones", 1)
    refusals = 0
    real = Failures.retry

    async def refuse(self: Failures, task: Task, error: str, pause_ms: int) -> Task:
        nonlocal refusals
        refusals += 1
        if refusals < 3:
            raise ConnectionRefusedError
        return await real(self, task, error, pause_ms)

    monkeypatch.setattr(Failures, "retry", refuse)
    async with working(record, walk):
        task = await record.create(name="walk", arguments=f'{{"stones":"{stones}"}}')
        ended = await settled(record, task.id)
    assert refusals == 3
    assert (ended.status, ended.retries_used) == (TaskStatus.COMPLETED, 1)
