"""One breaker, several workers."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from tasks_server.task import TaskStatus
from tests.races.working import settled, working
from tests.store.interleaving import overlap
from tests.store.record import Record, claim, finish
from tests.store.test_breakers import cooled_down, fail
from tests.support.waiting import wait_until
from workers import Transient, tool


async def test_two_workers_that_come_together_make_one_probe(record: Record, another: Record):
    await fail(record, 5)
    first, second = await record.create(), await record.create()
    await cooled_down(record)
    mine, yours = await overlap(
        record,
        record.worker("worker-1")._claim_alone(first.id, 0),  # what follows when it cannot be claimed at once
        another,
        lambda: another.worker("worker-2").claim(second.id, 0),
    )
    assert mine is not None
    assert yours is None
    waiting = await record.task(second.id)
    assert waiting.status_message is not None
    assert waiting.status_message.startswith("convert has failed 5 times in a row")


async def test_a_task_that_comes_while_it_closes_does_not_stay_behind(record: Record, another: Record):
    await fail(record, 5)
    await cooled_down(record)
    worker = record.worker("worker-1")
    probe = await claim(worker, await record.create())
    late = await record.create()
    await asyncio.gather(finish(worker, probe), another.worker("worker-2").claim(late.id, 0))
    while await record.behind_breakers.attend():
        pass
    row = await record.row(late.id)
    assert row["paused_by"] is None
    assert row["lease_worker"] is not None or row["next_dispatch_at"] is not None


async def test_many_failures_at_once_open_it_once(record: Record, another: Record):
    workers = [each.worker(f"worker-{number}") for number, each in enumerate((record, another) * 3)]
    tasks = [await claim(worker, await record.create()) for worker in workers]
    failures = [record.failures(worker).retry for worker in workers]
    await asyncio.gather(*(retry(task, "busy", 1) for retry, task in zip(failures, tasks, strict=True)))
    (row,) = await record.sql("SELECT failures, cooldown_ms FROM breaker")
    assert tuple(row) == (6, 60_000)


async def test_what_waited_for_a_broken_service_is_done_when_it_works_again(
    record: Record, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Real worker, real clock: some tasks fail, the rest wait untried, a probe finds the service well."""
    works = tmp_path / "works"
    tried = 0

    @tool(retry_delay="0.05s")
    async def call_the_service() -> str:
        """Works only while the service does."""
        nonlocal tried
        tried += 1
        if not works.exists():
            raise Transient("The service is down.")
        return "done"

    caplog.set_level(logging.INFO, "tasks_server.lifecycle")
    settings = {"breaker_failures": 2, "breaker_cooldown_seconds": 0.2}
    async with working(record, call_the_service, concurrency=1, **settings):
        tasks = [
            await record.create(name="call_the_service", arguments="{}", max_retries=2) for _ in range(8)
        ]
        opened = "call_the_service has failed 2 times in a row"
        await wait_until(lambda: opened in caplog.text, describing="the breaker opens")
        works.touch()
        ended = [await settled(record, task.id, 40) for task in tasks]
    assert {task.status for task in ended} == {TaskStatus.COMPLETED}
    assert {task.outcome is not None and "done" in task.outcome for task in ended} == {True}
    assert tried == len(tasks) + sum(task.retries_used for task in ended)
    assert sum(task.retries_used for task in ended) < len(tasks), "waiting behind the breaker costs no retry"
    assert "call_the_service works again" in caplog.text
