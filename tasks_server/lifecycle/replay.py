"""Starting a task again that did not end well: as a new task, because an end is final."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tasks_server.encoding import decode_json
from tasks_server.errors import CommandRefused
from tasks_server.lifecycle.requests import ClientRequests
from tasks_server.store.database import Database
from tasks_server.store.rows import task_from_row
from tasks_server.store.statements import history as history_sql
from tasks_server.task import Door, InputRequest, Method, NewTask, OutcomeKind, Task, TaskStatus


class Replays:
    """For operators: it asks nobody who owns the task."""

    def __init__(self, database: Database, requests: ClientRequests) -> None:
        self._database = database
        self._requests = requests

    async def replay(self, task_id: str) -> Task:
        """A new task of the same owner with the same call; the old one stays as it is. Raises CommandRefused."""
        async with self._database.reading() as connection:
            row = (await connection.execute(history_sql.whole_task(task_id))).one_or_none()
            answers = (await connection.execute(history_sql.answered_with_the_call(task_id))).all()
        if row is None:
            raise CommandRefused(f"There is no task {task_id}. It may have expired, or the id may be wrong.")
        task = task_from_row(row)
        _refuse_what_ended_well(task)
        given = tuple((InputRequest(answer.key, answer.request), answer.response) for answer in answers)
        return await self._requests.create(_again(task, row, given))


def _again(task: Task, row: Any, answers: tuple[tuple[InputRequest, str], ...]) -> NewTask:
    return NewTask(
        owner=task.owner,
        method=task.method,
        name=task.name,
        queue=task.queue,
        arguments=task.arguments,
        # Nobody waits for it, on an open connection or in a session: its owner fetches it by its id.
        origin=replace(task.origin, door=Door.HANDLE, progress_token=None, session=None, request_id=None),
        retention_ms=row.retention_ms,
        poll_interval_ms=task.poll_interval_ms,
        run_timeout_ms=task.run_timeout_ms,
        max_retries=task.max_retries,
        max_crashes=task.max_crashes,
        priority=task.priority,
        start_within_ms=_since_creation(task, task.start_by),
        deadline_ms=_since_creation(task, task.deadline_at),
        answers=answers,
        replay_of=task.id,
    )


def _since_creation(task: Task, at: int | None) -> int | None:
    return None if at is None else at - task.created_at


def _refuse_what_ended_well(task: Task) -> None:
    if task.method is not Method.CALL_TOOL:
        raise CommandRefused(
            f"Task {task.id} is a {task.method}, which nobody fetches; only tool calls can be replayed. "
            "Its client can send the request again."
        )
    if not task.is_terminal:
        raise CommandRefused(
            f"Task {task.id} is {task.status}; only what has ended can be replayed. Cancel it first."
        )
    if task.status is TaskStatus.COMPLETED and not _is_error(task):
        raise CommandRefused(
            f"Task {task.id} has completed; only what failed or was cancelled can be replayed. "
            "Fetch its result, or call the tool again."
        )


def _is_error(task: Task) -> bool:
    if task.outcome_kind is not OutcomeKind.RESULT or task.outcome is None:
        return False
    return bool(decode_json(task.outcome).get("isError"))
