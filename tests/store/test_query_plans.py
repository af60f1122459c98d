"""What clients may ask for at any time finds its rows through an index, however many tasks and sessions there are."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks_server.store.tables import SESSION, SESSION_SUBSCRIPTION, TASK
from tasks_server.task import Door, Origin, OutcomeKind
from tasks_server.task_page import Place
from tests.store.plans import Statement, copies, plan, searches_only, statements
from tests.store.record import OWNER, RESULT, Record, claim, finish, held

IN_SESSION = Origin(Door.HANDLE, "2025-11-25", {}, session="s", request_id=1)
LINES = "INSERT INTO task_event (task_id, at, kind, body) SELECT id, created_at, 'log', '{}' FROM task"
LATER = 2_000_000_000_000


@pytest.fixture
async def full(record: Record) -> Record:
    """Ten thousand tasks each of one owner, of another one and in another session; and as many sessions."""
    worker = record.worker()
    mine = await record.create(origin=IN_SESSION)
    for kind, changes in (
        ("m", {}),
        ("t", {"owner": "mallory"}),
        ("s", {"origin": replace(IN_SESSION, session="another", request_id=2)}),
    ):
        task = await record.create(**changes)
        await finish(worker, await claim(worker, task))
        await copies(record, TASK, task.id, kind)
    await finish(worker, await claim(worker, mine))
    await record.sessions.subscribe("s", OWNER, "file:///a")
    await copies(record, SESSION, "s", "o")
    await copies(record, SESSION_SUBSCRIPTION, "s", "o")
    await record.sql(LINES)
    async with record.database.transaction() as connection:
        await connection.exec_driver_sql("ANALYZE")
    return record


ASKED: dict[str, Callable[[Record], Awaitable[object]]] = {
    "the first page": lambda record: record.service.list(OWNER, None, 50),
    "another page": lambda record: record.service.list(OWNER, Place(LATER, "a"), 50),
    "unfinished": lambda record: record.service.unfinished_of_session(OWNER, "s"),
    "changed": lambda record: record.lists.changed_of_session(OWNER, "s", 0),
    "by request": lambda record: record.service.find_request(OWNER, "s", 1),
    "events": lambda record: record.service.events_after(OWNER, "m1", 0),
    "session": lambda record: record.sessions.find("s"),
    "subscriptions": lambda record: record.sessions.subscriptions("s", OWNER),
    "expired sessions": lambda record: record.expiry.forget_sessions(),
}
UNSORTED = ("the first page", "another page", "events")


@pytest.mark.parametrize("what", ASKED)
async def test_it_costs_what_it_finds(full: Record, another: Record, what: str):
    with statements(full) as seen:
        await ASKED[what](full)
    (statement,) = seen
    _, steps = await plan(another, statement)
    assert searches_only(steps), "\n".join([statement[0], *steps])
    if what in UNSORTED:
        assert not any("B-TREE" in step or "Sort" in step for step in steps), "\n".join(steps)


async def test_what_is_done_all_the_time_costs_what_it_is_about(full: Record, another: Record):
    """Also as PostgreSQL plans it once for all parameters."""
    worker = full.worker()
    with statements(full) as seen:
        task = await full.create()
        claimed = await claim(worker, task)
        await worker.finish(held(claimed), OutcomeKind.RESULT, RESULT, None, None)
        await full.task(task.id)
    told = [statement for statement in seen if "task" in statement[0]]
    assert len(told) >= 4
    for statement in told:
        steps = await (plan_once if not full.database.is_sqlite else plan_of)(another, statement)
        through_all = [
            step for step in steps if re.search(r"Seq Scan on task\b|^SCAN task\b|^SCAN behind\b", step)
        ]
        assert not through_all, "\n".join([statement[0], *steps])


async def plan_of(record: Record, statement: Statement) -> list[str]:
    return (await plan(record, statement))[1]


async def plan_once(record: Record, statement: Statement) -> list[str]:
    """The plan that a quick connection keeps."""
    sql, parameters = statement
    nothing = ", ".join(["NULL"] * len(parameters))
    async with record.database.quick_writing() as connection:
        direct: Any = connection
        driver = direct._driver
        await driver.execute(f"PREPARE hot AS {sql}")
        rows = await driver.fetch(f"EXPLAIN EXECUTE hot({nothing})")
        await driver.execute("DEALLOCATE hot")
    return [row[0] for row in rows]
