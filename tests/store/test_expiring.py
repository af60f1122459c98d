"""How long tasks are kept: counted from their end, never less than was said, and nothing of them stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks_server.defects import Defects
from tasks_server.errors import TaskNotFound
from tasks_server.lifecycle.claims import Claims
from tasks_server.manifest import Manifest, ToolOffer
from tasks_server.retention import bounded_retention_ms
from tasks_server.store.roster import Roster
from tasks_server.store.statements.terms import MINIMUM_TTL_MS
from tasks_server.task import OutcomeKind, Progress, Task, TaskStatus
from tests.store.counting import traffic
from tests.store.interleaving import beside
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
    tasks = (record.upkeep, record.deadlines, record.window, record.expiry, record.behind_breakers)
    return Maintenance(*tasks, record.roster, record.artifacts, Defects(), absence_ms=HOUR_MS)


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
    assert await record.expiry.extend() == 0
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
    assert await record.expiry.extend() == 1
    after = await record.task(task.id)
    assert after.ttl_ms is not None
    assert after.ttl_ms - DAY_MS - HOUR_MS in range(5_000)
    assert (after.revision, after.status) == (before.revision + 1, before.status)
    assert await record.expiry.extend() == 0


@pytest.mark.parametrize("retention_ms", [0, 1, 1_000, MINIMUM_TTL_MS - 1])
async def test_a_short_time_is_not_shown_to_run_out_while_the_task_is_unfinished(
    record: Record, retention_ms: int
):
    task = await record.create(retention_ms=retention_ms)
    assert task.ttl_ms == MINIMUM_TTL_MS
    assert await record.expiry.extend() == 0
    await record.shift(task.id, "expires_at", -(MINIMUM_TTL_MS // 2) - 1_000)
    await record.shift(task.id, "created_at", -(MINIMUM_TTL_MS // 2) - 1_000)
    assert await record.expiry.extend() == 1
    extended = await record.task(task.id)
    assert extended.ttl_ms is not None
    assert extended.ttl_ms > MINIMUM_TTL_MS + MINIMUM_TTL_MS // 2
    assert await record.expiry.extend() == 0


async def test_a_followed_task_shows_its_new_time(record: Record):
    await record.start()
    task = await record.create(retention_ms=HOUR_MS)
    async with record.service.watch(OWNER, [task.id]) as watch:
        assert await anext(watch) == task
        await record.shift(task.id, "expires_at", -HOUR_MS)
        await record.expiry.extend()
        assert await anext(watch) == await record.task(task.id)


async def test_an_attached_call_that_nobody_came_back_to_is_ended(record: Record):
    worker = record.worker()
    abandoned, answered, handle = [
        await claim(worker, await record.create(origin=origin)) for origin in (ATTACHED, ATTACHED, ORIGIN)
    ]
    for task in (abandoned, answered, handle):
        await ask(worker, task)
        await worker.park(held(task))
    assert (await record.expiry.extend()) == 0
    for task in (abandoned, answered, handle):
        await record.shift(task.id, "expires_at", -2 * 365 * DAY_MS)
    await record.requests.answer(OWNER, answered.id, {"name": accept("Ada")})
    await record.expiry.extend()
    ended = await record.task(abandoned.id)
    assert (ended.status, ended.status_message) == (TaskStatus.CANCELLED, "Its question was never answered")
    assert (await record.task(answered.id)).status is TaskStatus.WORKING
    assert (await record.task(handle.id)).status is TaskStatus.INPUT_REQUIRED


async def test_an_attached_call_that_still_holds_its_worker_is_not_ended(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(origin=ATTACHED))
    await ask(worker, task)
    await record.shift(task.id, "expires_at", -2 * DAY_MS)
    await record.expiry.extend()
    assert (await record.task(task.id)).status is TaskStatus.INPUT_REQUIRED
    await worker.finish(held(task), OutcomeKind.RESULT, RESULT, None, None)


async def test_expiring_goes_on_in_batches(record: Record, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasks_server.lifecycle.expiry.TASKS_BATCH", 2)
    for _ in range(5):
        await record.requests.cancel(OWNER, (await record.create(retention_ms=0)).id)
    assert [await maintenance(record).expire() for _ in range(4)] == [2, 2, 1, 0]


async def test_extending_goes_on_in_batches(record: Record, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasks_server.lifecycle.expiry.TASKS_BATCH", 2)
    worker = record.worker()
    for origin in (ORIGIN, ATTACHED):
        for _ in range(3):
            task = await claim(worker, await record.create(origin=origin, retention_ms=HOUR_MS))
            await ask(worker, task)
            await worker.park(held(task))
            await record.shift(task.id, "expires_at", -DAY_MS)
    assert [await record.expiry.extend() for _ in range(3)] == [4, 2, 0]
    statuses = await record.sql("SELECT status, count(*) FROM task GROUP BY status ORDER BY status")
    assert [tuple(row) for row in statuses] == [("cancelled", 3), ("input_required", 3)]


MANY = 25_000


async def test_what_hangs_on_a_task_in_great_numbers_goes_in_small_transactions(
    record: Record, another: Record, monkeypatch: pytest.MonkeyPatch
):
    worker = record.worker()
    expired, kept = [
        await claim(worker, await record.create(retention_ms=retention)) for retention in (0, DAY_MS)
    ]
    for task in (expired, kept):
        await record.sql(NUMBERS + LINES, many=MANY, id=task.id)
        await record.sql(NUMBERS + CHECKPOINTS, many=3_000, id=task.id)
    for task in (expired, kept):
        await finish(worker, task)
    meanwhile: list[str] = []

    async def submit_in_the_pause(_seconds: float) -> None:
        """Whoever wants to write comes to it between two batches."""
        meanwhile.append((await another.create()).id)

    monkeypatch.setattr("tasks_server.lifecycle.expiry.anyio.sleep", submit_in_the_pause)
    with traffic(record) as seen:
        assert await record.expiry.expire() == [expired.id]
    assert len(meanwhile) == MANY // 1_000 + 3_000 // 1_000
    deletions = [statement for statement in seen.statements if "DELETE FROM task_event" in statement]
    assert len(deletions) == MANY // 1_000 + 1
    assert all("LIMIT" in statement for statement in deletions)
    for table in HANGING[:1]:
        assert await record.rows(table, expired.id) == []
        assert len(await record.rows(table, kept.id)) == MANY + 1


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many) "
LINES = "INSERT INTO task_event (task_id, at, kind, body) SELECT :id, i, 'log', '{}' FROM n"
CHECKPOINTS = "INSERT INTO checkpoint (task_id, name, value, at) SELECT :id, CAST(i AS TEXT), '1', i FROM n"


async def test_of_a_chatty_task_only_so_much_is_kept(record: Record, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasks_server.lifecycle.events.MOST_LOG_ROWS", 5)
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.note(held(task), [{"line": number} for number in range(3)])
    await worker.report(held(task), Progress(1), None)
    await worker.note(held(task), [{"line": number} for number in range(3, 6)])
    await worker.note(held(task), [{"line": 6}])
    await worker.report(held(task), Progress(2), "two")
    await ask(worker, task)
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    events = await record.events(task.id)
    assert [kind for kind, _ in events] == [
        *("attempt", "log", "log", "log", "progress", "log", "dropped", "question", "answer")
    ]
    assert events[6] == ("dropped", {"kept": 5})
    assert (await record.task(task.id)).status_message == "two"


async def test_the_line_that_fills_the_log_is_not_yet_one_too_many(
    record: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.lifecycle.events.MOST_LOG_ROWS", 2)
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.note(held(task), [{"line": 1}, {"line": 2}])
    assert [kind for kind, _ in await record.events(task.id)] == ["attempt", "log", "log"]
    for _ in range(2):
        await worker.note(held(task), [{"line": 3}])
    assert [kind for kind, _ in await record.events(task.id)] == ["attempt", "log", "log", "dropped"]


def offering(name: str) -> Manifest:
    tool = ToolOffer(name=name, description=name, input_schema={"type": "object"}, queue="default")
    return Manifest(tools=(tool,))


async def enter(record: Record, worker_id: str, manifest: Manifest) -> None:
    await record.roster.enter(worker_id, host="here", pid=1, concurrency=1, manifest=manifest)


async def test_manifests_go_with_the_last_worker_that_offers_them(record: Record):
    old, new = offering("old"), offering("new")
    for worker_id, manifest in (("first", old), ("second", old), ("third", new)):
        await enter(record, worker_id, manifest)
    assert await record.roster.forget(HOUR_MS) == 0
    await record.roster.remove(["first"])
    assert await record.roster.forget(HOUR_MS) == 0
    await record.roster.offer("second", new)
    assert await record.roster.forget(HOUR_MS) == 1
    digests = [row.digest for row in await record.sql("SELECT digest FROM manifest")]
    assert digests == [new.digest()]


@pytest.mark.parametrize("forget_first", [True, False])
async def test_a_manifest_that_comes_back_just_then_stays(
    record: Record, another: Record, forget_first: bool
):
    manifest = offering("work")
    await enter(record, "gone", manifest)
    await record.roster.remove(["gone"])
    if forget_first:
        await beside(record, record.roster.forget(HOUR_MS), another, lambda: enter(another, "new", manifest))
    else:
        await beside(record, enter(record, "new", manifest), another, lambda: another.roster.forget(HOUR_MS))
    await record.roster.forget(HOUR_MS)
    assert await Roster(record.database).manifests([manifest.digest()]) == {manifest.digest(): manifest}


@pytest.mark.parametrize(
    ("offered_ms", "most_ms", "wished_ms", "kept_ms"),
    [
        (HOUR_MS, None, None, HOUR_MS),
        (HOUR_MS, 1_000, None, 1_000),
        (HOUR_MS, DAY_MS, DAY_MS, HOUR_MS),
        (HOUR_MS, DAY_MS, 1_000, 1_000),
        (None, DAY_MS, None, DAY_MS),
        (None, None, None, None),
        (HOUR_MS, None, 0, 0),
    ],
)
def test_the_shortest_time_counts(
    offered_ms: int | None, most_ms: int | None, wished_ms: int | None, kept_ms: int | None
):
    assert bounded_retention_ms(offered_ms, most_ms, wished_ms) == kept_ms
