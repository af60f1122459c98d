"""How long tasks are kept: counted from their end, never less than was said, and nothing of them stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks_server.defects import Defects
from tasks_server.errors import TaskNotFound
from tasks_server.lifecycle.claims import Claims
from tasks_server.store.statements.terms import MINIMUM_TTL_MS
from tasks_server.task import OutcomeKind, Task, TaskStatus
from tests.store.record import (
    ATTACHED,
    ORIGIN,
    OWNER,
    RESULT,
    Record,
    accept,
    ask,
    claim,
    finish,
    held,
)
from workers.maintenance import Maintenance

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS
HANGING = ("task_event", "input_request", "checkpoint", "artifact")


def maintenance(record: Record) -> Maintenance:
    return Maintenance(
        record.upkeep,
        record.deadlines,
        record.window,
        record.roster,
        record.artifacts,
        Defects(),
        absence_ms=HOUR_MS,
    )


async def deposited(record: Record, worker: Claims, task: Task, name: str) -> Path:
    """A file that a task has produced; where it lies in the store."""
    source = record.directory.parent / "made-by-the-tool"
    source.write_text(name)
    deposit = await record.artifacts.deposit(task.id, source)
    facts = {"size": deposit.size, "sha256": deposit.sha256, "location": deposit.location}
    await worker.record_artifact(held(task), {"name": name, "mime_type": "text/plain", **facts})
    return record.directory / deposit.location


async def test_the_time_counts_from_the_end(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(retention_ms=HOUR_MS))
    await record.sql("UPDATE task SET created_at = created_at - :day WHERE id = :id", day=DAY_MS, id=task.id)
    ended = await finish(worker, task)
    assert ended.finished_at is not None
    assert ended.ttl_ms is not None
    assert ended.ttl_ms - (ended.finished_at - ended.created_at) - HOUR_MS in range(-5, 6)
    assert (await record.row(task.id))["expires_at"] - ended.finished_at - HOUR_MS in range(-5, 6)


@pytest.mark.parametrize("cancelled", [False, True], ids=["finished", "cancelled"])
async def test_a_task_past_its_time_is_unreadable_at_once(record: Record, cancelled: bool):
    worker = record.worker()
    task = await record.create(retention_ms=0)
    if cancelled:
        await record.requests.cancel(OWNER, task.id)
    else:
        task = await claim(worker, task)
        path = await deposited(record, worker, task, "a.md")
        await finish(worker, task)
        assert await record.artifacts.find(OWNER, task.id, "a.md") is None
        assert path.exists()
    assert (await record.row(task.id))["finished_at"] is not None
    for call in (
        record.service.get(OWNER, task.id),
        record.service.answer(OWNER, task.id, {}),
        record.service.cancel(OWNER, task.id),
    ):
        with pytest.raises(TaskNotFound):
            await call
    async with record.service.watch(OWNER, [task.id]) as watch:
        assert watch.accepted == ()


async def test_an_expired_task_goes_with_everything_that_hangs_on_it(record: Record):
    worker = record.worker()
    expired, kept = [
        await claim(worker, await record.create(retention_ms=retention)) for retention in (0, DAY_MS)
    ]
    files: dict[str, Path] = {}
    for task in (expired, kept):
        await ask(worker, task)
        await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
        await worker.remember(held(task), "page", 1)
        files[task.id] = await deposited(record, worker, task, "a.md")
        await finish(worker, task)
    assert await maintenance(record).expire() == 1
    assert await record.sql("SELECT id FROM task WHERE id = :id", id=expired.id) == []
    for table in HANGING:
        assert await record.rows(table, expired.id) == []
        assert await record.rows(table, kept.id) != []
    assert not files[expired.id].parent.exists()
    assert files[kept.id].read_text() == "a.md"
    found = await record.artifacts.find(OWNER, kept.id, "a.md")
    assert found is not None
    assert record.directory / found.location == files[kept.id]
    assert await maintenance(record).expire() == 0


async def test_no_file_stays_that_was_never_recorded(record: Record):
    """A worker died, or lost the task, between copying the file and recording it."""
    worker = record.worker()
    task = await claim(worker, await record.create(retention_ms=0))
    source = record.directory.parent / "made-by-the-tool"
    source.write_text("x")
    deposit = await record.artifacts.deposit(task.id, source)
    await finish(worker, task)
    await maintenance(record).expire()
    assert not (record.directory / deposit.location).exists()
    assert list(record.directory.iterdir()) == []


async def test_what_is_kept_for_ever_does_not_expire(record: Record):
    ended = await record.finished(retention_ms=None)
    assert (ended.ttl_ms, (await record.row(ended.id))["expires_at"]) == (None, None)
    assert await record.upkeep.extend() == 0
    assert await maintenance(record).expire() == 0
    assert await record.service.get(OWNER, ended.id) == ended


@pytest.mark.parametrize("status", ["waiting", "running", "asking", "parked"])
async def test_unfinished_tasks_never_expire(record: Record, status: str):
    worker = record.worker()
    task = await record.create(retention_ms=HOUR_MS)
    if status != "waiting":
        task = await claim(worker, task)
    if status in {"asking", "parked"}:
        await ask(worker, task)
    if status == "parked":
        await worker.park(held(task))
    await record.shift(task.id, "expires_at", -DAY_MS)
    await record.shift(task.id, "created_at", -DAY_MS)
    before = await record.task(task.id)
    assert await maintenance(record).expire() == 0
    assert await record.upkeep.extend() == 1
    after = await record.task(task.id)
    assert after.ttl_ms is not None
    assert after.ttl_ms - DAY_MS - HOUR_MS in range(5_000)
    assert (after.revision, after.status) == (before.revision + 1, before.status)
    assert await record.upkeep.extend() == 0


@pytest.mark.parametrize("retention_ms", [0, 1, 1_000, MINIMUM_TTL_MS - 1])
async def test_a_short_time_is_not_shown_to_run_out_while_the_task_is_unfinished(
    record: Record, retention_ms: int
):
    task = await record.create(retention_ms=retention_ms)
    assert task.ttl_ms == MINIMUM_TTL_MS
    assert await record.upkeep.extend() == 0
    await record.shift(task.id, "expires_at", -(MINIMUM_TTL_MS // 2) - 1_000)
    await record.shift(task.id, "created_at", -(MINIMUM_TTL_MS // 2) - 1_000)
    assert await record.upkeep.extend() == 1
    extended = await record.task(task.id)
    assert extended.ttl_ms is not None
    assert extended.ttl_ms > MINIMUM_TTL_MS + MINIMUM_TTL_MS // 2
    assert await record.upkeep.extend() == 0


async def test_a_followed_task_shows_its_new_time(record: Record):
    await record.start()
    task = await record.create(retention_ms=HOUR_MS)
    async with record.service.watch(OWNER, [task.id]) as watch:
        assert await anext(watch) == task
        await record.shift(task.id, "expires_at", -HOUR_MS)
        await record.upkeep.extend()
        assert await anext(watch) == await record.task(task.id)


async def test_an_attached_call_that_nobody_came_back_to_is_ended(record: Record):
    worker = record.worker()
    abandoned, answered, handle = [
        await claim(worker, await record.create(origin=origin)) for origin in (ATTACHED, ATTACHED, ORIGIN)
    ]
    for task in (abandoned, answered, handle):
        await ask(worker, task)
        await worker.park(held(task))
    assert (await record.upkeep.extend()) == 0
    for task in (abandoned, answered, handle):
        await record.shift(task.id, "expires_at", -2 * 365 * DAY_MS)
    await record.requests.answer(OWNER, answered.id, {"name": accept("Ada")})
    await record.upkeep.extend()
    ended = await record.task(abandoned.id)
    assert (ended.status, ended.status_message) == (TaskStatus.CANCELLED, "Its question was never answered")
    assert (await record.task(answered.id)).status is TaskStatus.WORKING
    assert (await record.task(handle.id)).status is TaskStatus.INPUT_REQUIRED


async def test_an_attached_call_that_still_holds_its_worker_is_not_ended(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(origin=ATTACHED))
    await ask(worker, task)
    await record.shift(task.id, "expires_at", -2 * DAY_MS)
    await record.upkeep.extend()
    assert (await record.task(task.id)).status is TaskStatus.INPUT_REQUIRED
    await worker.finish(held(task), OutcomeKind.RESULT, RESULT, None, None)


async def test_expiring_goes_on_in_batches(record: Record, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasks_server.lifecycle.upkeep.EXPIRY_BATCH", 2)
    for _ in range(5):
        await record.requests.cancel(OWNER, (await record.create(retention_ms=0)).id)
    assert [await maintenance(record).expire() for _ in range(4)] == [2, 2, 1, 0]
