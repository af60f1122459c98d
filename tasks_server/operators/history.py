"""Reading the record as an operator: every owner's tasks, with all that happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks_server.encoding import decode_json
from tasks_server.errors import CommandRefused
from tasks_server.store.database import Database
from tasks_server.store.statements import breakers as breakers_sql
from tasks_server.store.statements import history as history_sql


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry of a task's event log."""

    at: int
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Biography:
    """A task's row, column by column, and its events, oldest first."""

    row: dict[str, Any]
    events: Sequence[Happening]


class History:
    """Not scoped by owner: whoever may run the command may read everything."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def dead_letters(self, limit: int) -> Sequence[dict[str, Any]]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(history_sql.dead_letters(limit))).mappings().all()
        return [dict(row) for row in rows]

    async def breakers(self) -> Sequence[dict[str, Any]]:
        """Of every tool that has failed since its last result."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(breakers_sql.breakers())).mappings().all()
        return [dict(row) for row in rows if row["failures"]]

    async def of(self, task_id: str) -> Biography:
        """Raises CommandRefused when there is no such task."""
        async with self._database.reading() as connection:
            row = (await connection.execute(history_sql.whole_task(task_id))).mappings().one_or_none()
            events = (await connection.execute(history_sql.events_of(task_id))).all()
        if row is None:
            raise CommandRefused(f"There is no task {task_id}. It may have expired, or the id may be wrong.")
        happened = [Happening(event.at, event.kind, decode_json(event.body)) for event in events]
        return Biography(dict(row), happened)
