"""The status changes that deadlines cause, where no worker is there to see to it.

A worker stops what it runs by itself (`limits.py`). Any number of processes may do this at once.
"""

from __future__ import annotations

import logging

from tasks_server.encoding import encode_text
from tasks_server.errors import INTERNAL_ERROR
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.answers import go_on
from tasks_server.lifecycle.limits import missed
from tasks_server.store.database import Database
from tasks_server.store.rows import task_from_row
from tasks_server.store.statements import deadlines as deadlines_sql
from tasks_server.store.statements import reading as reading_sql
from tasks_server.task import Task, TaskStatus

log = logging.getLogger(__name__)

BATCH = 100


class Deadlines:
    """Each method does one batch and says how much it did."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer

    async def end_overdue_tasks(self) -> int:
        """Fail tasks that nobody holds and whose time is up, before their first start or as a whole."""
        failed = [
            *await self._fail_all(deadlines_sql.tasks_not_started_in_time(BATCH)),
            *await self._fail_all(deadlines_sql.tasks_past_deadline(BATCH)),
        ]
        if failed:
            await self._announcer.changed(*failed)
        return len(failed)

    async def _fail_all(self, overdue: deadlines_sql.Selection) -> list[str]:
        # Looked at without a lock first: hardly ever is there anything, and on SQLite a lock stops all others.
        async with self._database.reading() as connection:
            if (await connection.execute(overdue)).first() is None:
                return []
        async with self._database.transaction() as connection:
            # What somebody else has locked is being ended by them, or changes just now: it is looked at again.
            rows = (await connection.execute(overdue.with_for_update(skip_locked=True))).all()
            messages = {row.id: missed(task_from_row(row), row.paused_by) for row in rows}
            for task_id, message in messages.items():
                error = encode_text({"code": INTERNAL_ERROR, "message": message})
                await connection.execute(deadlines_sql.fail_if_overdue(task_id, error, message))
        for task_id, message in messages.items():
            log.warning("task %s: %s", task_id, message)
        return list(messages)

    async def close_overdue_questions(self) -> int:
        """Give questions that nobody answered in time their default, and let their tasks go on."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(deadlines_sql.tasks_with_overdue_questions(BATCH))).all()
        task_ids = list(dict.fromkeys(row.task_id for row in rows))
        closed = 0
        for task_id in task_ids:
            was_locked, changed = await self._close_questions_of(task_id)
            closed += not was_locked
            if changed is not None:
                if changed.status is TaskStatus.WORKING and changed.lease_worker is None:
                    await self._announcer.waiting([changed])
                await self._announcer.nudged(task_id)
        return closed

    async def _close_questions_of(self, task_id: str) -> tuple[bool, Task | None]:
        """Whether somebody else has locked the task, so that it has to be looked at again; the task if it goes on."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(deadlines_sql.task_unless_locked(task_id))).one_or_none()
            if row is None:
                return True, None
            if row.finished_at is not None:
                await connection.execute(deadlines_sql.withdraw_questions(task_id))
                return False, None
            answered = (await connection.execute(deadlines_sql.answer_overdue_questions(task_id))).all()
            if not answered:
                return False, None
            questions = (await connection.execute(reading_sql.questions_of(task_id))).all()
            all_answered = all(row.response is not None or row.withdrawn_at is not None for row in questions)
            keys = [row.key for row in answered]
            return False, await go_on(connection, task_id, keys, "deadline", all_answered=all_answered)
