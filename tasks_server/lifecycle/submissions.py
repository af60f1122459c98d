"""Recording new tasks, all those that came together in one commit: each is admitted, found again, or refused.

A submission with an idempotency key that is there already is that task. What an owner has more of than his
dispatch window holds is recorded without being announced; what he may not have at all is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.encoding import decode_json, encode_canonical
from tasks_server.errors import IdempotencyConflict, TasksError, TooManyQueued
from tasks_server.lifecycle.quotas import Quotas
from tasks_server.store.quick import Quick
from tasks_server.store.rows import (
    first_ttl_ms,
    new_task_as_read,
    origin_as_text,
    session_request,
    task_from_row,
)
from tasks_server.store.statements import expiry as expiry_sql
from tasks_server.store.statements import requests as requests_sql
from tasks_server.store.statements import submitting as submitting_sql
from tasks_server.task import NewTask, Task

RETRY_AFTER_MS = 1_000

Key = tuple[str, str | None]
"""(owner, idempotency key)"""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of one submission. announce: the queue is to be told."""

    outcome: Task | TasksError
    announce: bool = False

    def has_created(self, new: NewTask) -> bool:
        """Whether this submission made its task, and did not find it or was refused."""
        return isinstance(self.outcome, Task) and self.outcome.id == new.id


def are_plain(news: Sequence[NewTask]) -> bool:
    """Whether nothing has to be looked up or recorded but the tasks themselves."""
    return not any(new.idempotency_key is not None or new.answers for new in news)


async def submit_plain(
    connection: Quick, news: Sequence[NewTask], quotas: Quotas, *, is_sqlite: bool
) -> Sequence[Submitted]:
    """The same for tasks that `are_plain`."""
    insert, given = _insertion(news, quotas, is_sqlite=is_sqlite)
    return results(news, await connection.fetch(insert, given), quotas)


def results(news: Sequence[NewTask], rows: Iterable[Any], quotas: Quotas) -> Sequence[Submitted]:
    """What became of tasks that `are_plain`, by the rows that are there; for want of a row they were too many."""
    recorded = _recorded(news, rows)
    return [_result(new, recorded.get(new.id), None, quotas) for new in news]


async def submit_together(
    connection: AsyncConnection, news: Sequence[NewTask], quotas: Quotas, *, is_sqlite: bool
) -> Sequence[Submitted]:
    """Record these tasks in the transaction that `connection` is in; one result each, in their order."""
    known = await _under_keys(connection, news)
    fresh = [new for new in news if _key(new) not in known]
    recorded: dict[str, Submitted] = {}
    if fresh:
        insert, given = _insertion(_first_of_each_key(fresh), quotas, is_sqlite=is_sqlite)
        recorded = _recorded(fresh, (await connection.execute(insert, given)).all())
        # Under a key somebody else may have been first, in this very batch or on another server.
        known |= await _under_keys(connection, [new for new in fresh if new.id not in recorded])
    submitted = [_result(new, recorded.get(new.id), known.get(_key(new)), quotas) for new in news]
    answered = [
        row
        for new, each in zip(news, submitted, strict=True)
        if new.answers and isinstance(each.outcome, Task) and each.has_created(new)
        for row in _answered_before(new, each.outcome.created_at)
    ]
    if answered:
        await connection.execute(requests_sql.insert_questions(), answered)
    return submitted


def request_digest(new: NewTask) -> str:
    """Equal for requests that ask for the same, whatever the order of their arguments."""
    answers = sorted((question.key, decode_json(response)) for question, response in new.answers)
    asked = [new.method, new.name, decode_json(new.arguments), answers]
    return hashlib.sha256(encode_canonical(asked)).hexdigest()


def _key(new: NewTask) -> Key:
    return new.owner, new.idempotency_key


def _first_of_each_key(news: Sequence[NewTask]) -> Sequence[NewTask]:
    """What is the same task takes one place in its owner's quota and window."""
    first: dict[Key, NewTask] = {}
    for new in news:
        first.setdefault(_key(new), new)
    return [new for new in news if new.idempotency_key is None or first[_key(new)] is new]


async def _under_keys(connection: AsyncConnection, news: Sequence[NewTask]) -> dict[Key, Any]:
    """The rows that are there under the keys of these submissions."""
    keys = [_key(new) for new in news if new.idempotency_key is not None]
    if not keys:
        return {}
    rows = (await connection.execute(requests_sql.tasks_under_keys(keys))).all()
    if expired := [row.id for row in rows if not row.is_kept]:
        await connection.execute(expiry_sql.delete_finished(expired))
    return {(row.owner, row.idempotency_key): row for row in rows if row.is_kept}


def _result(new: NewTask, recorded: Submitted | None, row: Any | None, quotas: Quotas) -> Submitted:
    """row: what was under the submission's key before it, or meanwhile."""
    if recorded is not None:
        return recorded
    if row is None:
        assert quotas.max_queued is not None
        return Submitted(TooManyQueued(quotas.max_queued, RETRY_AFTER_MS))
    if row.request_digest != request_digest(new):
        return Submitted(IdempotencyConflict(row.idempotency_key))
    return Submitted(task_from_row(row))


def _insertion(
    news: Sequence[NewTask], quotas: Quotas, *, is_sqlite: bool
) -> tuple[Executable, dict[str, Any]]:
    """Inserts what is admitted, each within its owner's window or behind it."""
    insert, given = submitting_sql.insert_new(
        quotas.window,
        quotas.max_queued,
        unless_known=any(new.idempotency_key is not None for new in news),
        is_sqlite=is_sqlite,
    )
    return insert, given.parameters([_row(new, place) for place, new in enumerate(news)])


def _recorded(news: Sequence[NewTask], rows: Iterable[Any]) -> dict[str, Submitted]:
    """What was inserted, by id."""
    inserted = {row.id: row for row in rows}
    return {
        new.id: Submitted(new_task_as_read(new, row.created_at), announce=row.announced_at is not None)
        for new in news
        if (row := inserted.get(new.id)) is not None
    }


def _row(new: NewTask, place: int) -> tuple[Any, ...]:
    """In the order of `submitting_sql.COLUMNS`."""
    return (
        new.id,
        new.owner,
        new.method,
        new.name,
        new.queue,
        new.arguments,
        new.origin.door,
        origin_as_text(new.origin),
        new.origin.session,
        session_request(new.origin),
        new.status_message,
        new.max_retries,
        new.max_crashes,
        new.priority,
        new.poll_interval_ms,
        new.run_timeout_ms,
        new.retention_ms,
        first_ttl_ms(new),
        new.replay_of,
        new.idempotency_key,
        None if new.idempotency_key is None else request_digest(new),
        new.start_within_ms,
        new.deadline_ms,
        place,
    )


def _answered_before(new: NewTask, now: int) -> list[dict[str, Any]]:
    return [
        {
            "task_id": new.id,
            "key": question.key,
            "ordinal": question.key,
            "request": question.request,
            "asked_at": now,
            "response": response,
            "answered_at": now,
            "answered_by": "client",
        }
        for question, response in new.answers
    ]
