"""What waits costs nothing: with ten thousand parked tasks, looking after the record is what it is with none."""

from __future__ import annotations

import pytest

from tasks_server.defects import Defects
from tasks_server.lifecycle.questions import Question
from tasks_server.store.tables import INPUT_REQUEST, TASK
from tests.store.plans import Statement, copies, plan, searches_only, statements
from tests.store.record import ASK_NAME, Record, claim, finish, held
from workers.maintenance import Chore, Maintenance

HOUR_MS = 60 * 60 * 1000


@pytest.fixture
async def full(record: Record) -> Record:
    """A record of parked tasks with deadlines in the future, and of finished ones whose deadlines have passed."""
    worker = record.worker()
    deadlines = {"deadline_ms": HOUR_MS, "start_within_ms": HOUR_MS}
    parked = await claim(worker, await record.create(**deadlines))
    await worker.ask(held(parked), [Question("name", ASK_NAME, HOUR_MS)])
    await worker.park(held(parked))
    done = await claim(worker, await record.create(**deadlines))
    for column in ("deadline_at", "start_by"):
        await record.shift(done.id, column, -2 * HOUR_MS)
    await finish(worker, done)
    for table, task_id, to in ((TASK, parked.id, "p"), (INPUT_REQUEST, parked.id, "p"), (TASK, done.id, "d")):
        await copies(record, table, task_id, to)
    async with record.database.transaction() as connection:
        await connection.exec_driver_sql("ANALYZE")
    return record


def chores(record: Record) -> tuple[Chore, ...]:
    tasks = (record.upkeep, record.deadlines, record.window, record.expiry, record.behind_breakers)
    return Maintenance(*tasks, record.roster, record.artifacts, Defects(), absence_ms=HOUR_MS).chores


async def round_of_chores(record: Record) -> list[Statement]:
    await record.queue.caught_up()
    with statements(record) as seen:
        # Collecting orphans goes by the files in the store, every six hours, and not by tasks.
        for chore in (chore for chore in chores(record) if chore.name != "collect"):
            assert await chore.run_once() == 0, chore.name
    return seen


async def test_ten_thousand_parked_tasks_cost_what_none_cost(full: Record, another: Record):
    seen = await round_of_chores(full)
    plans = [await plan(another, statement) for statement in seen if about_tasks(statement)]
    assert len(plans) >= 6
    for statement, steps in plans:
        assert searches_only(steps), f"{statement}\n" + "\n".join(steps)
    await full.sql("DELETE FROM task")
    assert [sql for sql, _ in await round_of_chores(full)] == [sql for sql, _ in seen]


def about_tasks(statement: Statement) -> bool:
    return any(f" {table}" in statement[0] for table in ("task", "input_request", "task_event"))
