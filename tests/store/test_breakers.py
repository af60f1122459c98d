"""The circuit breaker of a tool: what opens it, what waits behind it, and what closes it."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.breakers import BreakerPolicy, Breakers
from tasks_server.lifecycle.claims import Claims
from tasks_server.store.statements import breakers as breakers_sql
from tasks_server.store.statements import claims as claims_sql
from tasks_server.task import Method, OutcomeKind, Task, TaskStatus
from tests.store.counting import traffic
from tests.store.record import OWNER, RESULT, Record, claim, finish, held, writer_of
from tests.support.redis_keys import flush

BUSY = "The archive is busy."


async def fail(record: Record, times: int = 1, **changes: Any) -> Task:
    """So many different tasks of a tool fail, one after the other; the last of them."""
    worker = record.worker("failing")
    task = None
    for _ in range(times):
        task = await claim(worker, await record.create(**changes))
        await record.failures(worker).retry(task, BUSY, 3_600_000)
    assert task is not None
    return task


async def breaker(record: Record, tool: str = "convert") -> dict[str, object] | None:
    rows = await record.sql("SELECT * FROM breaker WHERE tool = :tool", tool=tool)
    return dict(rows[0]._mapping) if rows else None


async def cooled_down(record: Record) -> None:
    """The pause of every breaker is over."""
    await record.sql("UPDATE breaker SET open_until = open_until - 100000000 WHERE open_until IS NOT NULL")


async def probe(record: Record, worker: Claims) -> Task:
    await fail(record, 5)
    await cooled_down(record)
    return await claim(worker, await record.create())


async def test_failures_in_a_row_open_it_and_nothing_of_the_tool_is_started(record: Record):
    waiting = await record.create()
    last = await fail(record, 5)
    row = await breaker(record)
    assert row is not None
    assert (row["failures"], row["last_error"]) == (5, BUSY)
    assert row["open_until"] == (await record.events(last.id))[-1][1]["breaker_open_until"]
    assert await record.worker().claim(waiting.id, 0) is None
    paused = await record.task(waiting.id)
    assert (paused.status, paused.attempt, paused.retries_used) == (TaskStatus.WORKING, 0, 0)
    assert (paused.started_at, paused.revision) == (None, waiting.revision + 1)
    said = "convert has failed 5 times in a row (last: The archive is busy); it is tried again at 20"
    assert paused.status_message is not None
    assert paused.status_message.startswith(said)
    until = {"failures": 5, "error": BUSY, "until": row["open_until"]}
    assert await record.events(waiting.id) == [("paused", until)]


async def test_fewer_failures_do_not(record: Record):
    waiting = await record.create()
    await fail(record, 4)
    await claim(record.worker(), waiting)


async def test_a_success_in_between_begins_the_count_anew(record: Record):
    await fail(record, 4)
    worker = record.worker()
    await finish(worker, await claim(worker, await record.create()))
    await fail(record, 4)
    await claim(record.worker(), await record.create())


async def test_a_prompt_that_has_the_tools_name_does_not(record: Record):
    await fail(record, 4)
    worker = record.worker()
    await finish(worker, await claim(worker, await record.create(method=Method.GET_PROMPT)))
    await fail(record)
    row = await breaker(record)
    assert row is not None
    assert row["opened_at"] is not None


async def test_the_last_attempt_of_a_task_counts_as_well(record: Record):
    worker = record.worker()
    for _ in range(5):
        task = await claim(worker, await record.create(max_retries=0))
        await record.failures(worker).give_up(task, BUSY, RESULT, None)
    row = await breaker(record)
    assert row is not None
    assert row["opened_at"] is not None


async def test_other_tools_and_prompts_of_the_same_name_go_on(record: Record):
    await fail(record, 5)
    await claim(record.worker(), await record.create(name="another"))
    await claim(record.worker(), await record.create(method=Method.GET_PROMPT))


async def test_after_the_pause_one_task_is_the_probe_and_runs_alone(record: Record, another: Record):
    await fail(record, 5)
    first, second = await record.create(), await record.create()
    assert await record.worker().claim(second.id, 0) is None
    await cooled_down(record)
    claimed = await claim(record.worker(), first)
    assert claimed.status_message is None
    assert await another.worker("worker-2").claim(second.id, 0) is None
    assert await record.worker().claim((await record.create()).id, 0) is None


async def test_the_success_of_the_probe_closes_it_and_what_waited_is_due(record: Record):
    await fail(record, 5)
    waiting = [await record.create() for _ in range(3)]
    for task in waiting:
        assert await record.worker().claim(task.id, 0) is None
    await cooled_down(record)
    worker = record.worker()
    await finish(worker, await claim(worker, waiting[0]))
    flush(record.redis_url)
    assert await record.behind_breakers.attend() == 2
    assert await record.window.refill() == 2
    assert set(await record.announced()) == {f"{task.id}:0" for task in waiting[1:]}
    due = await record.task(waiting[1].id)
    assert (due.status_message, due.retries_used) == (None, 0)
    assert (await record.events(due.id))[-1] == ("resumed", {"tool": "convert"})
    assert await record.behind_breakers.attend() == 0
    assert await breaker(record) is None, "a breaker that holds nothing back is gone"
    for task in waiting[1:]:
        await claim(worker, task)


async def test_an_error_result_of_the_probe_is_a_result_and_closes_it(record: Record):
    worker = record.worker()
    task = await probe(record, worker)
    await worker.finish(held(task), OutcomeKind.RESULT, '{"content":[],"isError":true}', None, None)
    await claim(worker, await record.create())


async def test_the_failure_of_the_probe_opens_it_again_for_twice_as_long(record: Record):
    pauses: list[int] = []
    worker = record.worker()
    await fail(record, 5)
    for _ in range(7):
        await cooled_down(record)
        task = await claim(worker, await record.create())
        await record.failures(worker).retry(task, BUSY, 3_600_000)
        row = (await record.sql("SELECT open_until - opened_at AS pause FROM breaker"))[0]
        pauses.append(round(row.pause, -1))
        assert await worker.claim((await record.create()).id, 0) is None
    assert pauses == [60_000, 120_000, 240_000, 480_000, 600_000, 600_000, 600_000]


async def test_after_it_has_closed_the_pauses_are_short_again(record: Record):
    worker = record.worker()
    await finish(worker, await probe(record, worker))
    await fail(record, 5)
    row = (await record.sql("SELECT open_until - opened_at AS pause FROM breaker"))[0]
    assert round(row.pause, -1) == 30_000


async def test_what_waits_is_told_that_it_waits_longer(record: Record):
    await fail(record, 5)
    waiting = await record.create()
    worker = record.worker()
    assert await worker.claim(waiting.id, 0) is None
    await cooled_down(record)
    task = await claim(worker, await record.create())
    await record.failures(worker).retry(task, "Still busy.", 3_600_000)
    await record.sql("UPDATE breaker SET open_until = 4102444800000")
    assert await record.behind_breakers.attend() == 1
    said = "convert has failed 6 times in a row (last: Still busy); it is tried again at 2100-01-01T00:00:00Z"
    assert (await record.task(waiting.id)).status_message == said
    assert await record.behind_breakers.attend() == 0, "it is told once"


@pytest.mark.parametrize("how", ["dies", "is released", "is cancelled", "faults"])
async def test_a_probe_that_ends_otherwise_makes_room_for_the_next(record: Record, how: str):
    dead = record.worker("dead", lease_ms=-1000)
    task = await probe(record, dead)
    match how:
        case "dies":
            assert await record.upkeep.rescue() == 1
        case "is released":
            await dead.release(held(task))
        case "is cancelled":
            await record.requests.cancel(OWNER, task.id)
            await dead.finish(held(task), OutcomeKind.CANCELLED, None, None, None)
        case _:
            error = '{"code":-32603,"message":"timed out"}'
            await dead.finish(held(task), OutcomeKind.RPC_ERROR, error, None, None)
    assert (await breaker(record) or {})["opened_at"] is not None
    await claim(record.worker(), await record.create())


async def test_a_success_that_began_before_does_not_close_it(record: Record):
    worker = record.worker()
    early = await claim(worker, await record.create())
    await fail(record, 5)
    await finish(worker, early)
    assert await worker.claim((await record.create()).id, 0) is None


async def test_only_one_of_many_that_wait_is_announced_when_the_pause_is_over(record: Record):
    await fail(record, 5)
    waiting = [await record.create() for _ in range(4)]
    for task in waiting:
        assert await record.worker().claim(task.id, 0) is None
    flush(record.redis_url)
    await record.upkeep.dispatch()
    assert await record.behind_breakers.attend() == 0
    assert await record.announced() == [], "nothing before the pause is over, not even after a flush"
    await cooled_down(record)
    assert await record.behind_breakers.attend() == 0
    (announced,) = await record.announced()
    (first,) = [task for task in waiting if announced == f"{task.id}:0"]
    await claim(record.worker(), first)
    flush(record.redis_url)
    assert await record.behind_breakers.attend() == 0
    assert await record.announced() == [], "while one is tried, no other"


# --- who is the probe -------------------------------------------------------------------------------------------


async def behind(record: Record, *retries: int, **changes: Any) -> list[Task]:
    """Tasks behind the open breaker that have been retried so often, oldest first."""
    tasks: list[Task] = []
    for number in retries:
        task = await record.create(**changes)
        assert await record.worker().claim(task.id, 0) is None
        age = "retries_used = :used, created_at = created_at - 1000000 + :place"
        await record.sql(f"UPDATE task SET {age} WHERE id = :id", used=number, place=len(tasks), id=task.id)
        tasks.append(task)
    return tasks


async def test_the_probe_is_the_one_that_was_retried_most_then_the_oldest(record: Record):
    await fail(record, 5)
    tasks = await behind(record, 0, 1, 2, 2, 1)
    flush(record.redis_url)
    await record.sql("UPDATE breaker SET open_until = opened_at")
    assert await record.behind_breakers.attend() == 0
    assert await record.announced() == [f"{tasks[2].id}:0"]
    for other in (tasks[0], tasks[1], tasks[3], tasks[4], await record.create()):
        assert await record.worker().claim(other.id, 0) is None
    await claim(record.worker(), tasks[2])


async def test_it_does_not_keep_others_waiting_for_ever(record: Record):
    await fail(record, 5)
    await behind(record, 2, queue="a queue without a worker")
    await cooled_down(record)
    await claim(record.worker(), await record.create())


async def test_one_that_keeps_failing_is_not_tried_twice_running(record: Record):
    await fail(record, 5)
    poison, sound = await behind(record, 2, 1)
    await record.sql("UPDATE breaker SET open_until = opened_at")
    worker = record.worker()
    failed = await record.failures(worker).retry(await claim(worker, poison), BUSY, 0)
    assert await worker.claim(poison.id, failed.attempt) is None
    await record.sql("UPDATE breaker SET open_until = opened_at")
    flush(record.redis_url)
    await record.behind_breakers.attend()
    assert await record.announced() == [f"{sound.id}:0"]
    assert await worker.claim(poison.id, failed.attempt) is None
    await finish(worker, await claim(worker, sound))
    await claim(worker, await record.create())


async def test_the_one_that_failed_last_is_tried_again_when_nobody_else_waits(record: Record):
    await fail(record, 5)
    (poison,) = await behind(record, 2)
    await cooled_down(record)
    worker = record.worker()
    failed = await record.failures(worker).retry(await claim(worker, poison), BUSY, 0)
    assert await worker.claim(poison.id, failed.attempt) is None
    await record.sql("UPDATE breaker SET open_until = opened_at")
    flush(record.redis_url)
    await record.behind_breakers.attend()
    assert await record.announced() == [f"{poison.id}:1"]
    await claim(worker, await record.task(poison.id))


async def test_a_tool_that_succeeds_at_its_second_attempt_is_paused_once(record: Record):
    worker = record.worker()
    failed: list[Task] = []
    for _ in range(5):
        task = await claim(worker, await record.create())
        failed.append(await record.failures(worker).retry(task, BUSY, 0))
    for task in failed:
        assert await worker.claim(task.id, 1) is None
    new = await record.create()
    await record.sql("UPDATE breaker SET open_until = opened_at")
    assert await worker.claim(new.id, 0) is None, "its first attempt would fail"
    await finish(worker, await claim(worker, await record.task(failed[0].id)))
    assert (await breaker(record) or {})["opened_at"] is None


async def test_attempts_of_one_task_in_a_row_say_no_more_about_the_tool_than_one(record: Record):
    worker = record.worker()
    task = await record.create(max_retries=9)
    for _ in range(6):
        task = await record.failures(worker).retry(await claim(worker, task), BUSY, 0)
    assert (await breaker(record) or {})["failures"] == 1
    await fail(record, 4)
    assert (await breaker(record) or {})["failures"] == 5
    assert await worker.claim((await record.create()).id, 0) is None


async def test_after_a_success_the_same_task_counts_again(record: Record):
    worker = record.worker()
    task = await record.create()
    for _ in range(2):
        task = await record.failures(worker).retry(await claim(worker, task), BUSY, 0)
        assert (await breaker(record) or {})["failures"] == 1
        await finish(worker, await claim(worker, await record.create()))
        assert (await breaker(record) or {})["failures"] == 0


async def test_a_claim_that_is_recovered_remembers_the_breaker(record: Record, another: Record):
    task = await probe(record, record.worker())
    recovered = another.worker()  # who has never heard of it
    assert await recovered.claimed(task.id, task.attempt) == task
    await finish(recovered, task)
    assert (await breaker(record) or {})["opened_at"] is None


async def test_a_paused_task_can_be_cancelled(record: Record):
    await fail(record, 5)
    task = await record.create()
    assert await record.worker().claim(task.id, 0) is None
    await record.requests.cancel(OWNER, task.id)
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED


async def test_a_claim_of_another_attempt_pauses_nothing(record: Record):
    await fail(record, 5)
    task = await record.create()
    before = await record.row(task.id)
    assert await record.worker().claim(task.id, 7) is None
    assert await record.row(task.id) == before


async def test_a_lost_attempt_counts_no_failure(record: Record):
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    await record.upkeep.rescue()
    with pytest.raises(StaleTransition):
        await record.failures(dead).retry(task, BUSY, 1)
    assert await breaker(record) is None


async def test_breakers_can_be_turned_off(record: Record):
    record.breakers = Breakers(record.database, BreakerPolicy(failures=0))
    await fail(record, 9)
    assert await breaker(record) is None


# --- what it costs ----------------------------------------------------------------------------------------------


async def test_a_tool_that_works_pays_no_statement_for_it(record: Record):
    worker = record.worker()
    first, second = await record.create(), await record.create()
    with traffic(record) as seen:
        for task in (first, second):
            claimed = await claim(worker, task)
            await worker.finish(held(claimed), OutcomeKind.RESULT, RESULT, None, None)
    sent = [statement for statement in seen.statements if not statement.startswith("BEGIN")]
    # To claim, and to finish. Only SQLite needs a statement of its own for the event.
    assert len(sent) == 2 * (3 if record.database.is_sqlite else 2), sent


# Both hold exactly the tasks behind breakers, by tool; in a small table one is as good as the other.
BEHIND_BREAKERS = "(task_behind_breaker|task_next_probe)"

STATEMENTS = {
    "the first": (breakers_sql.first_behind("convert", except_for="id"), "task_next_probe"),
    "a probe": (
        breakers_sql.take_probe(
            SimpleNamespace(tool="convert", failed_task="another"),
            SimpleNamespace(id="id", retries_used=1, created_at=1),
        ),
        "task_next_probe",
    ),
    "a correction": (breakers_sql.correct_behind("convert", 5, "why", 500), BEHIND_BREAKERS),
    "a release": (breakers_sql.release_behind("convert", 500), BEHIND_BREAKERS),
    "a claim": (claims_sql.claim_if_waiting("id", 0, "worker", 1), "breaker"),
}


@pytest.mark.parametrize("what", STATEMENTS)
async def test_what_waits_is_found_by_index(record: Record, what: str):
    statement, index = STATEMENTS[what]
    engine = writer_of(record)
    sql = str(statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))
    async with engine.begin() as connection:
        if not record.database.is_sqlite:  # which would rather read a table that is empty
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if record.database.is_sqlite else "EXPLAIN"
        plan = [str(row) for row in await connection.exec_driver_sql(f"{explain} {sql}")]
    assert any(
        re.search(rf"(INDEX|using|Index Scan on) (sqlite_autoindex_)?{index}", line) for line in plan
    ), plan
    assert not any(re.search("(SCAN|Seq Scan on) (task|breaker)", line) for line in plan), plan
