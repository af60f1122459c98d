"""Dispatch windows: letting tasks into them as they empty, so that the queue never holds more than it needs."""

from __future__ import annotations

import asyncio
import logging

import anyio
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.lifecycle.quotas import Quotas
from tasks_server.queue import Dispatch, TaskQueue
from tasks_server.redis_client import UNAVAILABLE
from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.statements import window as window_sql
from tasks_server.store.statements.window import Lane

log = logging.getLogger(__name__)

LANES_AT_ONCE = 100
# Notes that come within this time share a look. A quarter of a window is long enough to work on meanwhile.
NOTES_SECONDS = 0.02
_FIRST: Lane = ("", "")


class DispatchWindow:
    """Refills windows: at once where this process has made room, and everywhere when asked.

    Of several processes that refill one window, one does it at a time. Claims and submissions go on meanwhile, so
    a window may hold a little more than its size; nothing depends on the exact number.
    """

    def __init__(self, database: Database, queue: TaskQueue, quotas: Quotas) -> None:
        self.quotas = quotas
        self._database = database
        self._queue = queue
        self._noted: set[Lane] = set()
        self._freed: set[str] = set()
        self._news = asyncio.Event()
        self._reached = _FIRST

    def left(self, lane: Lane) -> None:
        """A task has left this window, and others are known to wait behind it."""
        self._noted.add(lane)
        self._news.set()

    def ended(self, owner: str) -> None:
        """A task of this owner runs no more: with a limit on running tasks, another one may."""
        if self.quotas.max_running is not None:
            self._freed.add(owner)
            self._news.set()

    async def run(self) -> None:
        """Refill what has been noted, until cancelled. What fails, `refill` makes good."""
        while True:
            await self._news.wait()
            self._news.clear()
            lanes, self._noted = self._noted, set()
            freed, self._freed = self._freed, set()
            try:
                for owner in freed:
                    lanes.update(await self._lines_of(owner))
                for lane in lanes:
                    await self._refill(lane)
            except (*DATABASE_UNAVAILABLE, *UNAVAILABLE) as error:
                log.debug("dispatch windows are refilled later: %s", error)
            await anyio.sleep(NOTES_SECONDS)

    async def refill(self) -> int:
        """Look at the next lanes that have a line, beginning again after the last; how many tasks were let in."""
        admitted = 0
        for _ in range(LANES_AT_ONCE):
            lane = await self._next_after(self._reached)
            self._reached = lane or _FIRST
            if lane is None:
                break
            admitted += await self._refill(lane)
        return admitted

    async def _refill(self, lane: Lane) -> int:
        async with self._database.reading() as connection:
            if await self._room(connection, lane) <= 0:
                return 0
        async with self._database.transaction() as connection:
            if not self._database.is_sqlite:
                await connection.execute(window_sql.refill_one_at_a_time(lane))
            room = await self._room(connection, lane)
            first = window_sql.first_of_line(lane, max(room, 0))
            line = [Dispatch(*row) for row in await connection.execute(first)]
            let_in = (await connection.execute(window_sql.admit([task.task_id for task in line]))).all()
        admitted = {row.id for row in let_in}
        await self._queue.enqueue([task for task in line if task.task_id in admitted])
        return len(admitted)

    async def _room(self, connection: AsyncConnection, lane: Lane) -> int:
        quotas = self.quotas
        query = window_sql.room_in_lane(lane, quotas.window, quotas.max_running)
        row = (await connection.execute(query)).one()
        if row.in_window < max(1, quotas.window // 4):
            return 0
        return row.in_window if quotas.max_running is None else min(row.in_window, row.to_run)

    async def _lines_of(self, owner: str) -> set[Lane]:
        lanes: set[Lane] = set()
        lane = await self._next_after((owner, ""))
        while lane is not None and lane[0] == owner:
            lanes.add(lane)
            lane = await self._next_after(lane)
        return lanes

    async def _next_after(self, lane: Lane) -> Lane | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(window_sql.next_lane(lane))).one_or_none()
        return None if row is None else (row.owner, row.queue)
