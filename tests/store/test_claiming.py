"""Holding a task: one worker at a time, from the claim to the end."""

from __future__ import annotations

import asyncio

import pytest

from tasks_server.lifecycle.questions import Question
from tasks_server.task import OutcomeKind, Progress, TaskStatus
from tests.store.record import (
    ASK_NAME,
    OWNER,
    RESULT,
    Record,
    accept,
    ask,
    claim,
    finish,
    held,
    new_task,
    rpc_error,
)

ARTIFACT = {"name": "a.md", "mime_type": "text/markdown", "size": 1, "sha256": "0", "location": "x/y"}


async def test_a_claim_takes_the_task(record: Record):
    task = await record.create(status_message="Waiting")
    claimed = await claim(record.worker(), task)
    assert claimed == await record.task(task.id)
    assert claimed.lease_worker == "worker-1"
    assert claimed.lease_until is not None
    assert claimed.started_at is not None
    assert claimed.lease_until - claimed.started_at in range(59_900, 60_101)
    assert claimed.status_message is None
    assert (claimed.revision, claimed.attempt, claimed.status) == (2, 0, TaskStatus.WORKING)
    assert await record.events(task.id) == [("attempt", {"attempt": 0, "worker": "worker-1"})]


async def test_of_many_workers_one_gets_the_task(record: Record, another: Record):
    task = await record.create()
    workers = [each.worker(f"worker-{number}") for number in range(10) for each in (record, another)]
    claims = await asyncio.gather(*(worker.claim(task.id, 0) for worker in workers))
    (winner,) = [claimed for claimed in claims if claimed is not None]
    assert winner == await record.task(task.id)
    assert len(await record.events(task.id)) == 1


async def test_an_attempt_is_claimed_once(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    assert await worker.claim(task.id, 0) is None
    await worker.release(held(task))
    assert await worker.claim(task.id, 0) is None
    assert await worker.claim(task.id, 1) is not None


async def test_a_renewal_prolongs_what_it_names_and_nothing_else(record: Record):
    worker = record.worker()
    first, second, foreign = [await record.create() for _ in range(3)]
    first, second = await claim(worker, first), await claim(worker, second)
    await claim(record.worker("somebody else"), foreign)
    for task in (first, second, foreign):
        await record.shift(task.id, "lease_until", -30_000)
    before = [await record.row(task.id) for task in (first, second, foreign)]
    (standing,) = await worker.renew([first.id, foreign.id, "no such task"])
    assert (standing.held, standing.cancel_requested) == (held(first), False)
    after = [await record.row(task.id) for task in (first, second, foreign)]
    assert after[0]["lease_until"] >= before[0]["lease_until"] + 29_000
    assert after[1:] == before[1:]


async def test_a_heartbeat_is_no_change_that_anybody_sees(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    before = await record.row(task.id)
    await worker.renew([task.id])
    await worker.note(held(task), [{"level": "info", "data": "x", "logger": None}])
    await worker.remember(held(task), "page", 1)
    await worker.record_artifact(held(task), ARTIFACT)
    after = await record.row(task.id)
    for row in (before, after):
        for unseen in ("lease_until", "log_rows"):
            row.pop(unseen)
    assert after == before


async def test_every_visible_change_is_a_revision(record: Record):
    worker = record.worker()
    revisions: list[int] = []
    times: list[int] = []

    async def note() -> None:
        row = await record.row(task.id)
        revisions.append(row["revision"])
        times.append(row["updated_at"])

    task = await record.create()
    await note()
    task = await claim(worker, task)
    await note()
    await worker.report(held(task), Progress(1.0, 2.0), "half")
    await note()
    await worker.ask(held(task), [Question("name", ASK_NAME), Question("other", ASK_NAME)])
    await note()
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    await note()
    await record.requests.answer(OWNER, task.id, {"other": accept("Ada")})
    await note()
    await finish(worker, task)
    await note()
    assert revisions == [1, 2, 3, 4, 5, 6, 7]
    assert times == sorted(times)


async def test_parking_and_handing_back_are_no_change_that_anybody_sees(record: Record):
    worker = record.worker()
    asks, runs = await claim(worker, await record.create()), await claim(worker, await record.create())
    await ask(worker, asks)
    before = [await record.row(task.id) for task in (asks, runs)]
    await worker.park(held(asks))
    await worker.release(held(runs))
    after = [await record.row(task.id) for task in (asks, runs)]
    for column in ("revision", "updated_at", "status", "status_message", "started_at", "retries_used"):
        assert [row[column] for row in after] == [row[column] for row in before]


async def test_a_released_task_is_announced_again_at_once(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.release(held(task))
    assert f"{task.id}:1" in await record.announced()
    row = await record.row(task.id)
    assert (row["attempt"], row["retries_used"], row["lease_worker"]) == (1, 0, None)
    assert row["next_dispatch_at"] is not None


async def test_a_task_that_is_handed_back_quietly_waits_for_the_dispatcher(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.release(held(task), announce=False)
    assert f"{task.id}:1" not in await record.announced()
    await record.shift(task.id, "next_dispatch_at", -60_000)
    await record.upkeep.dispatch()
    assert f"{task.id}:1" in await record.announced()


async def test_a_task_that_nobody_here_can_run_is_offered_ever_more_seldom(record: Record):
    worker = record.worker()
    task = await record.create()
    pauses: list[int] = []
    for _ in range(7):
        task = await claim(worker, task)
        await worker.release(held(task), announce=False)
        now = (await claim(worker, await record.create())).updated_at
        pauses.append((await record.row(task.id))["next_dispatch_at"] - now)
        task = await record.task(task.id)
    for pause, seconds in zip(pauses, (2, 4, 8, 16, 32, 60, 60), strict=True):
        assert seconds * 500 < pause <= seconds * 1000
    assert task.retries_used == 0


async def test_a_release_while_asking_parks(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    await worker.release(held(task))
    row = await record.row(task.id)
    assert (row["status"], row["lease_worker"], row["next_dispatch_at"]) == ("input_required", None, None)
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    assert f"{task.id}:1" in await record.announced()
    again = await claim(worker, await record.task(task.id))
    assert (await ask(worker, again)).response == accept("Ada")


async def test_steps_are_remembered_across_attempts(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    assert await worker.recall(task.id, "page") == (False, None)
    for value in ({"pages": [1, 2]}, None, False, "\0"):
        await worker.remember(held(task), f"step {value!r}", value)
    await worker.release(held(task))
    task = await claim(worker, await record.task(task.id))
    for value in ({"pages": [1, 2]}, None, False, "\0"):
        assert await worker.recall(task.id, f"step {value!r}") == (True, value)


async def test_a_step_may_be_remembered_again(record: Record):
    """The commit went through but its answer was lost: the same is written once more."""
    worker = record.worker()
    task = await claim(worker, await record.create())
    for value in (1, 1, 2):
        await worker.remember(held(task), "page", value)
        assert await worker.recall(task.id, "page") == (True, value)


async def test_an_artifact_of_the_same_name_is_replaced(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.record_artifact(held(task), ARTIFACT)
    await worker.record_artifact(held(task), {**ARTIFACT, "size": 2, "location": "x/z"})
    (row,) = await record.rows("artifact", task.id)
    assert (row["size"], row["location"]) == (2, "x/z")


@pytest.mark.parametrize(
    ("kind", "outcome", "status"),
    [
        (OutcomeKind.RESULT, RESULT, TaskStatus.COMPLETED),
        (OutcomeKind.RPC_ERROR, rpc_error("no"), TaskStatus.FAILED),
        (OutcomeKind.CANCELLED, None, TaskStatus.CANCELLED),
    ],
)
async def test_how_a_task_ends(record: Record, kind: OutcomeKind, outcome: str | None, status: TaskStatus):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.finish(held(task), kind, outcome, Progress(3.0, 3.0), "All pages")
    ended = await record.task(task.id)
    assert (ended.status, ended.outcome_kind, ended.outcome) == (status, kind, outcome)
    assert (ended.progress, ended.progress_total, ended.status_message) == (3.0, 3.0, "All pages")
    assert (ended.lease_worker, ended.lease_until) == (None, None)
    assert ended.finished_at is not None


async def test_the_timeline_of_a_task_is_told_in_order(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.report(held(task), Progress(1.0, 2.0), "half")
    await worker.note(held(task), [{"level": "info", "data": n, "logger": None} for n in (1, 2)])
    await ask(worker, task)
    await worker.park(held(task))
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    task = await claim(record.worker("dead", lease_ms=-1000), await record.task(task.id))
    await record.upkeep.rescue()
    task = await claim(worker, await record.task(task.id))
    await worker.release(held(task))
    assert await record.events(task.id) == [
        ("attempt", {"attempt": 0, "worker": "worker-1"}),
        ("progress", {"progress": 1.0, "progress_total": 2.0, "status_message": "half"}),
        ("log", {"level": "info", "data": 1, "logger": None}),
        ("log", {"level": "info", "data": 2, "logger": None}),
        ("question", {"key": "name"}),
        ("parked", {"attempt": 0}),
        ("answer", {"key": "name", "by": "client"}),
        ("attempt", {"attempt": 1, "worker": "dead"}),
        ("lost", {"attempt": 1, "worker": "dead"}),
        ("attempt", {"attempt": 2, "worker": "worker-1"}),
        ("released", {"attempt": 2, "why": "stopping"}),
    ]


async def test_a_write_that_is_cut_off_leaves_a_database_that_works(record: Record):
    """Runs are stopped at any moment, also in the middle of a statement or a commit."""
    worker = record.worker()
    task = await claim(worker, await record.create())
    for turns in range(40):
        write = asyncio.create_task(worker.report(held(task), Progress(float(turns)), None))
        for _ in range(turns):
            await asyncio.sleep(0)
        write.cancel()
        await asyncio.gather(write, return_exceptions=True)
    await worker.report(held(task), Progress(1000.0), None)
    assert (await record.task(task.id)).progress == 1000.0
    row = await record.row(task.id)
    reports = [body for kind, body in await record.events(task.id) if kind == "progress"]
    assert row["revision"] == 2 + len(reports)


def test_a_new_task_has_an_id_of_its_own():
    assert new_task().id != new_task().id
