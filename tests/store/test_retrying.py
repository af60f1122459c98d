"""An attempt that failed for a passing reason: the task waits, then it is announced under the next attempt."""

from __future__ import annotations

import asyncio

import pytest

from tasks_server.encoding import decode_json
from tasks_server.errors import StaleTransition
from tasks_server.queue import job_id
from tasks_server.task import OutcomeKind, TaskStatus
from tests.store.interleaving import gate_before_statement
from tests.store.record import OWNER, RESULT, Record, accept, ask, claim
from tests.support.redis_keys import flush


async def test_a_failed_attempt_is_visible_and_the_next_one_waits(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(max_retries=4))
    waiting = await record.failures(worker).retry(task, "The archive is busy.", 6_000)
    assert (waiting.status, waiting.attempt, waiting.retries_used) == (TaskStatus.WORKING, 1, 1)
    assert (waiting.lease_worker, waiting.lease_until) == (None, None)
    assert waiting.last_error == "The archive is busy."
    message = "Attempt 1 of 5 failed: The archive is busy. The next one starts in 6 s."
    assert waiting.status_message == message
    assert waiting.revision == task.revision + 1
    row = await record.row(task.id)
    assert row["next_dispatch_at"] - row["updated_at"] in range(6_000, 6_100)
    (kind, body) = (await record.events(task.id))[-1]
    assert kind == "failed"
    assert body == {
        "attempt": 0,
        "class": "transient",
        "error": "The archive is busy.",
        "next_at": row["next_dispatch_at"],
    }


async def test_a_pause_beyond_the_deadline_promises_no_next_attempt(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(deadline_ms=2 * 60 * 60 * 1000))
    waiting = await record.failures(worker).retry(task, "The archive is busy.", 3 * 60 * 60 * 1000)
    assert waiting.status_message == (
        "Attempt 1 of 4 failed: The archive is busy. "
        "The next one would start in 180 min, but the deadline of 2 h comes first."
    )
    other = await claim(worker, await record.create(deadline_ms=2 * 60 * 60 * 1000))
    waiting = await record.failures(worker).retry(other, "The archive is busy.", 60_000)
    assert (waiting.status_message or "").endswith("The next one starts in 60 s.")


async def test_the_next_attempt_is_announced_when_its_pause_is_over_and_not_before(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await record.queue.forget(task.queue, job_id(task.id, 0))
    await record.upkeep.dispatch()
    await record.failures(worker).retry(task, "busy", 60_000)
    assert await record.announced() == []
    assert await record.upkeep.dispatch() == 0
    await record.shift(task.id, "next_dispatch_at", -60_000)
    assert await record.upkeep.dispatch() == 1
    assert await record.announced() == [f"{task.id}:1"]
    assert (await record.row(task.id))["paused_by"] is None
    again = await claim(worker, await record.task(task.id))
    assert (again.attempt, again.status_message) == (1, None)


async def test_a_pause_that_begins_while_the_task_is_announced_is_kept(record: Record, another: Record):
    """Somebody has seen that the task is due, and notes so only when its attempt has begun and failed."""
    worker = another.worker()
    task = await record.create()
    await record.upkeep.dispatch()
    await record.shift(task.id, "next_dispatch_at", -60_000)
    noting = 1 if record.database.is_sqlite else 2  # where the first one reads
    with gate_before_statement(record, noting) as gate:
        announcing = asyncio.create_task(record.upkeep.dispatch())
        await gate.reached.wait()
        await another.failures(worker).retry(await claim(worker, task), "busy", 60_000)
        failed = await another.row(task.id)
        gate.open()
        await announcing
    assert await another.row(task.id) == failed


async def test_a_redis_that_has_forgotten_everything_does_not_cut_the_pause_short(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await record.failures(worker).retry(task, "busy", 60_000)
    other = await record.create()
    flush(record.redis_url)
    await record.upkeep.dispatch()
    assert await record.announced() == [f"{other.id}:0"]


async def test_a_cancelled_task_is_not_tried_again(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await record.requests.cancel(OWNER, task.id)
    ended = await record.failures(worker).retry(task, "busy", 6_000)
    assert (ended.status, ended.status_message) == (TaskStatus.CANCELLED, "Cancelled")
    assert (ended.attempt, ended.retries_used) == (0, 0)


async def test_a_task_that_waits_for_its_next_attempt_can_be_cancelled(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await record.failures(worker).retry(task, "busy", 60_000)
    await record.requests.cancel(OWNER, task.id)
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED


async def test_a_worker_that_lost_the_task_changes_nothing(record: Record):
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    await record.upkeep.rescue()
    before = await record.row(task.id)
    with pytest.raises(StaleTransition):
        await record.failures(dead).retry(task, "busy", 6_000)
    with pytest.raises(StaleTransition):
        await record.failures(dead).give_up(task, "busy", RESULT, None)
    assert await record.row(task.id) == before
    assert [kind for kind, _ in await record.events(task.id)] == ["attempt", "lost"]


async def test_a_question_that_nobody_asks_any_more_is_withdrawn_and_answers_stay(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    await ask(worker, task, "age")
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    waiting = await record.failures(worker).retry(await record.task(task.id), "busy", 60_000)
    assert waiting.status is TaskStatus.WORKING
    assert [body for kind, body in await record.events(task.id) if kind == "withdrawn"] == [{"key": "age"}]
    await record.requests.answer(OWNER, task.id, {"age": accept("too late")})
    await record.shift(task.id, "next_dispatch_at", -60_000)
    await record.upkeep.dispatch()
    again = await claim(worker, await record.task(task.id))
    assert (await ask(worker, again)).response == accept("Ada")
    asked = await ask(worker, again, "age")
    assert (asked.key, asked.response) == ("age.2", None)


async def test_without_retries_left_the_task_ends_with_the_error_as_its_result(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(max_retries=0))
    ended = await record.failures(worker).give_up(task, "The archive is busy.", RESULT, None)
    assert (ended.status, ended.outcome_kind, ended.outcome) == (
        TaskStatus.COMPLETED,
        OutcomeKind.RESULT,
        RESULT,
    )
    assert ended.status_message == "Attempt 1 of 1 failed: The archive is busy."
    assert ended.last_error == "The archive is busy."
    assert (await record.events(task.id))[-1][1]["next_at"] is None


# --- crashes ----------------------------------------------------------------------------------------------------


async def crash(record: Record, task_id: str, worker: str) -> None:
    await claim(record.worker(worker, lease_ms=-1000), await record.task(task_id))
    assert await record.upkeep.rescue() == 1


async def test_crashes_and_retries_are_counted_apart(record: Record):
    worker = record.worker()
    task = await record.create(max_retries=1, max_crashes=2)
    await crash(record, task.id, "dead-1")
    claimed = await claim(worker, await record.task(task.id))
    waiting = await record.failures(worker).retry(claimed, "busy", 1)
    assert (waiting.crashes, waiting.retries_used, waiting.attempt) == (1, 1, 2)


async def test_a_task_that_kills_its_workers_is_a_dead_letter_with_the_evidence(record: Record):
    task = await record.create(retention_ms=1_000)
    for number in (1, 2, 3):
        await crash(record, task.id, f"dead-{number}")
    dead = await record.task(task.id)
    assert (dead.status, dead.outcome_kind, dead.crashes) == (TaskStatus.FAILED, OutcomeKind.RPC_ERROR, 3)
    assert dead.status_message is not None
    assert dead.status_message.startswith(
        "convert has lost 3 workers and is not started again: attempt 1 on dead-1"
    )
    assert dead.outcome is not None
    error = decode_json(dead.outcome)
    assert (error["code"], error["message"]) == (-32603, dead.status_message)
    lost = [(crash["attempt"], crash["worker"]) for crash in error["data"]["crashes"]]
    assert lost == [(1, "dead-1"), (2, "dead-2"), (3, "dead-3")]
    row = await record.row(task.id)
    assert row["quarantined_at"] == row["finished_at"]
    assert row["expires_at"] - row["finished_at"] >= 7 * 24 * 60 * 60 * 1000 - 1_000
    assert await record.upkeep.rescue() == 0


async def test_a_longer_retention_of_a_dead_letter_stays(record: Record):
    kept = 30 * 24 * 60 * 60 * 1000
    task = await record.create(retention_ms=kept, max_crashes=1)
    await crash(record, task.id, "dead")
    row = await record.row(task.id)
    assert row["expires_at"] - row["finished_at"] in range(kept - 100, kept + 1_000)
    assert row["status_message"].startswith("convert has lost a worker and is not started again: ")


async def test_a_dead_letter_of_a_tool_that_is_kept_for_ever_is_kept_for_ever(record: Record):
    task = await record.create(retention_ms=None, max_crashes=1)
    await crash(record, task.id, "dead")
    assert (await record.row(task.id))["expires_at"] is None
