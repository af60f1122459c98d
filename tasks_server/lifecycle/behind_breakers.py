"""What time demands of tasks that wait behind a circuit breaker: wake a probe, correct what they say, let them go."""

from __future__ import annotations

import logging
from typing import Any

from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.breakers import why_it_waits
from tasks_server.lifecycle.events import EventKind, event
from tasks_server.lifecycle.window import DispatchWindow
from tasks_server.queue import Dispatch, TaskQueue
from tasks_server.store.database import Database
from tasks_server.store.statements import breakers as breakers_sql
from tasks_server.store.statements import requests as requests_sql

log = logging.getLogger(__name__)

BATCH = 500


class BehindBreakers:
    """However many tasks wait, each step changes one batch of them, and an open breaker wakes only one."""

    def __init__(
        self, database: Database, queue: TaskQueue, announcer: Announcer, window: DispatchWindow
    ) -> None:
        self._database = database
        self._queue = queue
        self._announcer = announcer
        self._window = window

    async def attend(self) -> int:
        """One batch for each breaker; how many tasks were changed."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(breakers_sql.breakers())).all()
        changed = 0
        for breaker in rows:
            changed += await self._attend_to(breaker)
        return changed

    async def _attend_to(self, breaker: Any) -> int:
        first = await self._first_behind(breaker)
        if breaker.opened_at is not None:
            if first is not None and breaker.is_over and not await self._is_probed(breaker):
                await self._queue.enqueue([Dispatch(first.id, first.attempt, first.queue, first.owner)])
            return 0 if first is None else await self._correct(breaker)
        if first is not None:
            return await self._release(breaker.tool)
        if breaker.failures == 0:
            async with self._database.writing() as connection:
                await connection.execute(breakers_sql.delete_if_idle(breaker.tool))
        return 0

    async def _first_behind(self, breaker: Any) -> Any | None:
        """Who is to try next: not the one that failed last, unless nobody else waits."""
        async with self._database.reading() as connection:
            another = breakers_sql.first_behind(breaker.tool, except_for=breaker.failed_task)
            row = (await connection.execute(another)).one_or_none()
            if row is None and breaker.failed_task is not None:
                row = (await connection.execute(breakers_sql.first_behind(breaker.tool))).one_or_none()
        return row

    async def _is_probed(self, breaker: Any) -> bool:
        if breaker.probe_task is None:
            return False
        async with self._database.reading() as connection:
            probe = await connection.execute(breakers_sql.probe_that_runs(breaker.probe_task))
        return probe.one_or_none() is not None

    async def _correct(self, breaker: Any) -> int:
        correction = breakers_sql.correct_behind(
            breaker.tool, breaker.open_until, why_it_waits(breaker), BATCH
        )
        async with self._database.writing() as connection:
            rows = (await connection.execute(correction)).all()
        if rows:
            await self._announcer.changed(*(row.id for row in rows))
        return len(rows)

    async def _release(self, tool: str) -> int:
        async with self._database.transaction() as connection:
            rows = (await connection.execute(breakers_sql.release_behind(tool, BATCH))).all()
            if rows:
                resumed = [event(row.id, row.updated_at, EventKind.RESUMED, {"tool": tool}) for row in rows]
                await connection.execute(requests_sql.insert_events(), resumed)
        if rows:
            log.info("%d tasks that waited for %s are due", len(rows), tool)
            for lane in {(row.owner, row.queue) for row in rows}:
                self._window.left(lane)
            await self._announcer.changed(*(row.id for row in rows))
        return len(rows)
