"""How long the record keeps tasks: never less than was said while they are unfinished, then their time, no longer.

Everything is done in small transactions with pauses between them: on SQLite whoever writes stops all others.
Any number of processes may do this at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from sqlalchemy import Table

from tasks_server.lifecycle.announce import Announcer
from tasks_server.store.database import Database
from tasks_server.store.statements import expiry as expiry_sql
from tasks_server.store.statements import sessions as sessions_sql

TASKS_BATCH = 200
ROWS_BATCH = 1_000
SESSIONS_BATCH = 100
PAUSE_SECONDS = 0.02


class Expiry:
    """Each method does one batch and says how much it did."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer

    async def extend(self) -> int:
        """Prolong the time of unfinished tasks before it runs out; end attached calls that were abandoned."""
        async with self._database.transaction() as connection:
            abandoned = (await connection.execute(expiry_sql.cancel_abandoned(TASKS_BATCH))).all()
            extended = (await connection.execute(expiry_sql.extend_unfinished(TASKS_BATCH))).all()
        changed = [row.id for row in (*abandoned, *extended)]
        if changed:
            await self._announcer.changed(*changed)
        return len(changed)

    async def expire(self) -> Sequence[str]:
        """Delete finished tasks whose time has passed, with everything that hangs on them; their ids."""
        async with self._database.reading() as connection:
            due = (await connection.execute(expiry_sql.finished_tasks_past_expiry(TASKS_BATCH))).all()
        ids: Sequence[str] = [row.id for row in due]
        if not ids:
            return []
        for table in expiry_sql.HANGING_ON_TASKS:
            await self._clear(table, ids)
        async with self._database.transaction() as connection:
            deleted = await connection.execute(expiry_sql.delete_finished_unless_locked(ids))
            return [row.id for row in deleted]

    async def forget_sessions(self) -> int:
        """Delete sessions whose tokens nobody accepts any more."""
        async with self._database.writing() as connection:
            return len((await connection.execute(sessions_sql.delete_expired(SESSIONS_BATCH))).all())

    async def _clear(self, table: Table, task_ids: Sequence[str]) -> None:
        """Delete what hangs on these tasks, of which nobody knows how much it is."""
        deleted = ROWS_BATCH
        while deleted >= ROWS_BATCH:
            async with self._database.writing() as connection:
                statement = expiry_sql.delete_hanging(table, task_ids, ROWS_BATCH)
                deleted = len((await connection.execute(statement)).all())
            if deleted >= ROWS_BATCH:
                await anyio.sleep(PAUSE_SECONDS)
