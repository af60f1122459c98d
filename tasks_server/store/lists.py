"""Finding tasks by whose they are and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks_server.encoding import storable_number
from tasks_server.store.database import Database
from tasks_server.store.rows import readable, request_key
from tasks_server.store.statements import lists as lists_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.task_page import Place, TaskPage

MOST_OF_SESSION = 1_000
"""Of more unfinished or changed tasks in one session the newest count."""

SETTLING_MS = 10_000
"""A change may become visible so long after the time that it bears."""


class TaskLists:
    """The record as it is committed; every method is scoped by owner."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, owner: str, after: Place | None, limit: int) -> TaskPage:
        """Handed-out tasks, newest first."""
        place = None if after is None else (after.created_at, after.id)
        query = lists_sql.page_of_tasks(owner, place, limit + 1, is_sqlite=self._database.is_sqlite)
        rows = await self._rows(query)
        ends_at = rows[limit - 1] if len(rows) > limit else None
        return TaskPage(
            tuple(readable(rows[:limit])), None if ends_at is None else Place(ends_at.created_at, ends_at.id)
        )

    async def unfinished_of_session(self, owner: str, session: str) -> Sequence[str]:
        """Ids of the handed-out tasks of a session that have not ended, newest first."""
        rows = await self._rows(lists_sql.unfinished_of_session(owner, session, MOST_OF_SESSION))
        return [row.id for row in rows]

    async def changed_of_session(self, owner: str, session: str, since_ms: int) -> Sequence[str]:
        """Ids of the handed-out tasks of a session that have changed since then, or shortly before."""
        query = lists_sql.changed_of_session(
            owner, session, storable_number(since_ms - SETTLING_MS), MOST_OF_SESSION
        )
        return [row.id for row in await self._rows(query)]

    async def find_request(self, owner: str, session: str, request_id: str | int) -> str | None:
        """The id of the task that this request of a session has made."""
        rows = await self._rows(lists_sql.task_of_request(owner, session, request_key(request_id)))
        return rows[0].id if rows else None

    async def clock(self) -> int:
        """The database's time, in milliseconds."""
        return (await self._rows(terms_sql.clock()))[0][0]

    async def _rows(self, query: Any) -> Sequence[Any]:
        async with self._database.reading() as connection:
            return (await connection.execute(query)).all()
