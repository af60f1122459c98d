"""Reading tasks: requests that arrive together share one SELECT."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from tasks_server.batch import Batch
from tasks_server.encoding import decode_json, is_storable, storable_number
from tasks_server.errors import TaskUnreadable
from tasks_server.store.database import Database
from tasks_server.store.outage import is_outage
from tasks_server.store.rows import task_from_row
from tasks_server.store.statements import lists as lists_sql
from tasks_server.store.statements import reading as reading_sql
from tasks_server.store.statements.given import given_ids
from tasks_server.task import InputRequest, Task, TaskEvent


class TaskReader:
    """The record as it is committed. Scoping by owner is the caller's duty: see `TaskService`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batch: Batch[str, Task | TaskUnreadable | None] = Batch(self._select, hits_all=is_outage)

    async def find(self, task_id: str) -> Task | None:
        """The task with its outstanding questions; None when there is none or its time has passed.

        Raises TaskUnreadable.
        """
        found = await self._batch.submit(task_id)
        if isinstance(found, TaskUnreadable):
            raise found
        return found

    async def find_many(self, task_ids: Iterable[str]) -> dict[str, Task]:
        """Those of these tasks that exist and can be read."""
        found = await self.look_up(task_ids)
        return {task_id: task for task_id, task in found.items() if isinstance(task, Task)}

    async def look_up(self, task_ids: Iterable[str]) -> dict[str, Task | TaskUnreadable]:
        """Those of these tasks that exist; for one that this version cannot read, the reason."""
        ids = list(dict.fromkeys(task_ids))
        if not ids:
            return {}
        found = await self._select(ids)
        return {task_id: task for task_id, task in zip(ids, found, strict=True) if task is not None}

    async def events_after(self, owner: str, task_id: str, after_id: int, limit: int) -> Sequence[TaskEvent]:
        """Log lines and questions of a task of this owner, oldest first, from behind this one on."""
        if not is_storable(task_id):
            return []
        query = lists_sql.events_after(owner, task_id, storable_number(after_id), limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [TaskEvent(row.id, row.kind, decode_json(row.body)) for row in rows]

    async def newest_event(self, owner: str, task_id: str) -> int:
        """The id of whatever has been recorded last of a task of this owner; 0 if nothing has."""
        async with self._database.reading() as connection:
            newest = await connection.execute(lists_sql.newest_event(owner, task_id))
            return newest.scalar_one() or 0

    async def _select(self, ids: Sequence[str]) -> Sequence[Task | TaskUnreadable | None]:
        # Ids come from outside and share a statement: one that the database refuses must not fail the others.
        unique = [task_id for task_id in dict.fromkeys(ids) if is_storable(task_id)]
        found: dict[str, Task | TaskUnreadable] = {}
        questions: dict[str, list[InputRequest]] = defaultdict(list)
        is_sqlite = self._database.is_sqlite
        query, wanted = reading_sql.tasks_by_id(is_sqlite=is_sqlite), given_ids(unique, is_sqlite=is_sqlite)
        async with self._database.quick_reading() as connection:
            for row in await connection.fetch(query, wanted):
                if row.id not in found:
                    found[row.id] = _read(row)
                if row.question_key is not None:
                    questions[row.id].append(InputRequest(row.question_key, row.question))
        for task_id, asked in questions.items():
            task = found[task_id]
            if isinstance(task, Task):
                found[task_id] = task.asking(tuple(asked))
        return [found.get(task_id) for task_id in ids]


def _read(row: Any) -> Task | TaskUnreadable:
    try:
        return task_from_row(row)
    except TaskUnreadable as unreadable:
        return unreadable
