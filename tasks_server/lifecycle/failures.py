"""What a worker does with a task whose attempt failed for a reason that may pass: try again later, or end it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.duration import duration_in_words
from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.breakers import Breakers
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.events import EventKind, event
from tasks_server.lifecycle.fence import Held
from tasks_server.store.database import Database
from tasks_server.store.rows import task_from_row
from tasks_server.store.statements import ends as ends_sql
from tasks_server.store.statements import history as history_sql
from tasks_server.store.statements import questions as questions_sql
from tasks_server.store.statements import requests as requests_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.task import OutcomeKind, Progress, Task


class Failures:
    """Fenced like `Claims`: a task that is not held any more raises StaleTransition."""

    def __init__(self, database: Database, announcer: Announcer, claims: Claims, breakers: Breakers) -> None:
        self._database = database
        self._announcer = announcer
        self._claims = claims
        self._breakers = breakers

    async def retry(self, task: Task, error: str, pause_ms: int) -> Task:
        """Let the task wait for its next attempt; one whose cancellation was asked for ends as cancelled.

        Questions that wait for an answer are withdrawn, because nobody asks them any more; answers stay.
        """
        async with self._database.transaction() as connection:
            message = f"{_failed(task, error)} {await _following(connection, task, pause_ms)}"
            change = ends_sql.retry_if_held(*self._fence(task), pause_ms, message, error)
            row = (await connection.execute(change)).one_or_none()
            if row is not None:
                await self._withdraw_questions(connection, task, row.updated_at)
                await self._note(connection, task, row.updated_at, error, row.next_dispatch_at)
        if row is None:
            held = Held(task.id, task.attempt)
            await self._claims.finish(held, OutcomeKind.CANCELLED, None, None, "Cancelled")
            async with self._database.reading() as connection:
                return task_from_row((await connection.execute(history_sql.whole_task(task.id))).one())
        self._claims.note_end(task.owner)
        await self._announcer.changed(task.id)
        return task_from_row(row)

    async def give_up(self, task: Task, error: str, result: str, progress: Progress | None) -> Task:
        """End the task with this error result: it has no retries left."""
        values: dict[str, Any] = {"status_message": _failed(task, error), "last_error": error}
        if progress is not None:
            values |= {"progress": progress.progress, "progress_total": progress.total}
        change = ends_sql.finish_if_held(*self._fence(task), OutcomeKind.RESULT, result, values)
        async with self._database.transaction() as connection:
            row = (await connection.execute(change)).one_or_none()
            if row is None:
                raise StaleTransition(task.id, OutcomeKind.RESULT)
            await self._note(connection, task, row.updated_at, error, None)
        self._claims.note_end(task.owner)
        await self._announcer.changed(task.id)
        return task_from_row(row)

    async def _withdraw_questions(self, connection: AsyncConnection, task: Task, at: int) -> None:
        keys = (await connection.execute(questions_sql.withdraw_outstanding(task.id))).scalars().all()
        if keys:
            withdrawn = [event(task.id, at, EventKind.WITHDRAWN, {"key": key}) for key in keys]
            await connection.execute(requests_sql.insert_events(), withdrawn)

    async def _note(
        self, connection: AsyncConnection, task: Task, at: int, error: str, next_at: int | None
    ) -> None:
        """For the timeline, and for the tool's circuit breaker, which this failure may open."""
        body = {"attempt": task.attempt, "class": "transient", "error": error, "next_at": next_at}
        open_until = await self._breakers.failed(connection, task, error)
        if open_until is not None:
            body["breaker_open_until"] = open_until
        await connection.execute(requests_sql.insert_events(), [event(task.id, at, EventKind.FAILED, body)])

    def _fence(self, task: Task) -> tuple[str, int, str]:
        return task.id, task.attempt, self._claims.worker_id


def _failed(task: Task, error: str) -> str:
    return f"Attempt {task.retries_used + 1} of {task.max_retries + 1} failed: {error.rstrip('. ')}."


async def _following(connection: AsyncConnection, task: Task, pause_ms: int) -> str:
    """When the next attempt starts, or that it never will."""
    pause = _in_words(pause_ms)
    if task.deadline_at is not None:
        now: int = (await connection.execute(terms_sql.clock())).scalar_one()
        if now + pause_ms >= task.deadline_at:
            deadline = duration_in_words(task.deadline_at - task.created_at)
            return f"The next one would start in {pause}, but the deadline of {deadline} comes first."
    return f"The next one starts in {pause}."


def _in_words(pause_ms: int) -> str:
    if pause_ms < 100_000:
        return f"{pause_ms / 1000:.2g} s"
    return f"{round(pause_ms / 60_000)} min"
