"""The fence around a task: every write of a worker carries the attempt it holds, and fails once that is void."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.events import EventKind, event
from tasks_server.store.database import Database
from tasks_server.store.statements import requests as requests_sql


@dataclass(frozen=True, slots=True)
class Held:
    """A task this worker holds, and nobody else: the fence that every write carries."""

    task_id: str
    attempt: int


class Fenced:
    """What one worker writes about tasks it holds. A write whose fence no longer holds raises StaleTransition."""

    def __init__(self, database: Database, announcer: Announcer, worker_id: str) -> None:
        self._database = database
        self._announcer = announcer
        self.worker_id = worker_id

    def _fence(self, held: Held) -> tuple[str, int, str]:
        return held.task_id, held.attempt, self.worker_id

    async def _guarded(self, connection: AsyncConnection, held: Held, change: Any, wanted: str) -> Any:
        row = (await connection.execute(change)).one_or_none()
        if row is None:
            raise StaleTransition(held.task_id, wanted)
        return row


async def log_event(
    connection: AsyncConnection, task_id: str, at: int, kind: EventKind, body: Mapping[str, Any]
) -> None:
    await insert_events(connection, [event(task_id, at, kind, body)])


async def insert_events(connection: AsyncConnection, events: Sequence[dict[str, Any]]) -> None:
    if events:
        await connection.execute(requests_sql.insert_events(), events)
