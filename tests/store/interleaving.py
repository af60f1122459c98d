"""Making races happen: two processes' transactions that overlap in a chosen order, without a sleep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import text

from tasks_server.lifecycle.announce import Announcer
from tests.store.overhearing import overhearing
from tests.store.record import Record, writer_of
from tests.support.waiting import wait_until

First = TypeVar("First")
Second = TypeVar("Second")


class Gate:
    """Holds back whoever comes to it until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._opened = asyncio.Event()

    def open(self) -> None:
        self._opened.set()

    async def pass_through(self) -> None:
        self.reached.set()
        await self._opened.wait()


@contextmanager
def gate_before_commit(record: Record) -> Generator[Gate]:
    """Holds back the next commit of a transaction of this process: its row locks are taken, nothing is visible."""
    gate = Gate()
    with overhearing(record, commit=gate.pass_through, hears_reading=False):
        try:
            yield gate
        finally:
            gate.open()


@contextmanager
def gate_before_statement(record: Record, number: int) -> Generator[Gate]:
    """Holds back the so-manieth statement that this process writes or locks with, counted from 1."""
    gate = Gate()
    seen = 0

    async def hold(statement: str, _parameters: Any) -> None:
        nonlocal seen
        seen += not statement.startswith("BEGIN")
        if seen == number:
            await gate.pass_through()

    with overhearing(record, statement=hold, hears_reading=False):
        try:
            yield gate
        finally:
            gate.open()


class GatedAnnouncer(Announcer):
    """Holds back what follows a commit: the moment in which a process may die or be slow."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.queue, record.bus)
        self.gate = Gate()
        self._held: list[asyncio.Future[None]] = []

    async def waiting(self, tasks: Any) -> None:
        await self.gate.pass_through()
        await super().waiting(tasks)

    async def changed(self, *task_ids: str) -> None:
        await self.gate.pass_through()
        await super().changed(*task_ids)

    def changed_soon(self, task_id: str) -> None:
        self._held.append(asyncio.ensure_future(self.changed(task_id)))

    async def nudged(self, task_id: str) -> None:
        await self.gate.pass_through()
        await super().nudged(task_id)


async def overlap(
    ahead: Record,
    first: Coroutine[Any, Any, First],
    behind: Record,
    second: Callable[[], Awaitable[Second]],
) -> tuple[First | BaseException, Second | BaseException]:
    """Run two operations so that the second waits for the first one's row lock, and then sees what it has done.

    What they return or raise.
    """
    return await beside(ahead, first, behind, second, must_wait=True)


async def beside(
    ahead: Record,
    first: Coroutine[Any, Any, First],
    behind: Record,
    second: Callable[[], Awaitable[Second]],
    *,
    must_wait: bool = False,
) -> tuple[First | BaseException, Second | BaseException]:
    """Run the second operation while the first has done everything but commit; it may or may not have to wait."""
    with gate_before_commit(ahead) as gate:
        leading = asyncio.create_task(first)
        await asyncio.wait(
            {leading, asyncio.ensure_future(gate.reached.wait())}, return_when="FIRST_COMPLETED"
        )
        assert not leading.done(), "the first operation did not come to a commit"
        following = asyncio.ensure_future(second())
        await wait_until(
            lambda: (not must_wait and following.done()) or is_waiting(behind),
            describing="the second operation waits for the lock",
        )
        assert not (must_wait and following.done())
        gate.open()
        results = await asyncio.gather(leading, following, return_exceptions=True)
    return results[0], results[1]


async def is_waiting(record: Record) -> bool:
    """Whether a writer of this process waits for a lock that somebody else has."""
    if record.database.is_sqlite:
        # SQLite has one lock for all: whoever has its only connection for writing waits for that.
        return writer_of(record).pool.checkedout() > 0
    async with record.database.reading() as connection:
        waiting = await connection.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
        return bool(waiting.scalar_one())


@asynccontextmanager
async def locked(record: Record, task_id: str) -> AsyncGenerator[None]:
    """Somebody else's transaction that has the row's lock for as long as this lasts, and changes nothing."""
    async with record.database.transaction() as connection:
        await connection.execute(text("UPDATE task SET attempt = attempt WHERE id = :id"), {"id": task_id})
        yield
        await connection.rollback()
