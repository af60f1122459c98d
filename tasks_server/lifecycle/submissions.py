"""Recording new tasks, all those that came together in one commit: each is admitted, found again, or refused.

A submission with an idempotency key that is there already is that task. What an owner has more of than his
dispatch window holds is recorded without being announced; what he may not have at all is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.encoding import decode_json, encode_canonical
from tasks_server.errors import IdempotencyConflict, TasksError, TooManyQueued
from tasks_server.lifecycle.quotas import Quotas
from tasks_server.store.rows import new_task_as_read, row_of_new_task, task_from_row
from tasks_server.store.statements import expiry as expiry_sql
from tasks_server.store.statements import requests as requests_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.store.statements import window as window_sql
from tasks_server.store.statements.window import Lane
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


async def submit_together(
    connection: AsyncConnection, news: Sequence[NewTask], quotas: Quotas, *, is_sqlite: bool
) -> Sequence[Submitted]:
    """Record these tasks in the transaction that `connection` is in; one result each, in their order."""
    known = await _under_keys(connection, news)
    fresh = [new for new in news if _key(new) not in known]
    recorded: dict[str, Submitted] = {}
    if fresh:
        recorded = await _record(connection, fresh, quotas, is_sqlite=is_sqlite)
        # Under a key somebody else may have been first, in this very batch or on another server.
        known |= await _under_keys(connection, fresh)
    submitted = [_result(new, recorded.get(new.id), known.get(_key(new))) for new in news]
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


async def _under_keys(connection: AsyncConnection, news: Sequence[NewTask]) -> dict[Key, Any]:
    """The rows that are there under the keys of these submissions."""
    keys = [_key(new) for new in news if new.idempotency_key is not None]
    if not keys:
        return {}
    rows = (await connection.execute(requests_sql.tasks_under_keys(keys))).all()
    if expired := [row.id for row in rows if not row.is_kept]:
        await connection.execute(expiry_sql.delete_finished(expired))
    return {(row.owner, row.idempotency_key): row for row in rows if row.is_kept}


def _result(new: NewTask, recorded: Submitted | None, row: Any | None) -> Submitted:
    """row: what is under the submission's key now; if that is what was recorded for it, it was the first."""
    if recorded is not None and (row is None or row.id == new.id):
        return recorded
    assert row is not None
    if row.request_digest != request_digest(new):
        return Submitted(IdempotencyConflict(row.idempotency_key))
    return Submitted(task_from_row(row))


async def _record(
    connection: AsyncConnection, news: Sequence[NewTask], quotas: Quotas, *, is_sqlite: bool
) -> dict[str, Submitted]:
    """Insert what is admitted, each within its owner's window or behind it; results by id."""
    lanes: list[Lane] = list(dict.fromkeys((new.owner, new.queue) for new in news))
    query = window_sql.state_of_lanes(lanes, quotas.window, quotas.max_queued, is_sqlite=is_sqlite)
    states = (await connection.execute(query)).all()
    room = {(row.owner, row.queue): 0 if row.has_backlog else quotas.window - row.announced for row in states}
    queued: dict[str, int] = {} if quotas.max_queued is None else {row.owner: row.queued for row in states}
    now: int = states[0].now
    results: dict[str, Submitted] = {}
    rows: list[dict[str, Any]] = []
    for new in news:
        if quotas.max_queued is not None:
            if queued[new.owner] >= quotas.max_queued:
                results[new.id] = Submitted(TooManyQueued(quotas.max_queued, RETRY_AFTER_MS))
                continue
            queued[new.owner] += 1
        lane = (new.owner, new.queue)
        room[lane] -= 1
        rows.append(_row(new, now, place=None if room[lane] >= 0 else len(rows)))
        results[new.id] = Submitted(new_task_as_read(new, now), announce=room[lane] >= 0)
    if rows:
        await _insert(connection, rows, is_sqlite=is_sqlite)
    return results


async def _insert(connection: AsyncConnection, rows: list[dict[str, Any]], *, is_sqlite: bool) -> None:
    if any(row["idempotency_key"] is not None for row in rows):
        # In one order everywhere: two servers that insert the same keys must not wait for each other in a circle.
        rows.sort(key=lambda row: row["idempotency_key"] or "")
        await connection.execute(requests_sql.insert_tasks_unless_known(is_sqlite=is_sqlite), rows)
    else:
        await connection.execute(requests_sql.insert_tasks(), rows)


def _row(new: NewTask, now: int, place: int | None) -> dict[str, Any]:
    """place: in the line behind the window, among those that came at the same time; None for one inside of it."""
    row = row_of_new_task(new, now, now + terms_sql.REDISPATCH_AFTER_MS)
    row["announced_at"] = now if place is None else None
    row["backlog_rank"] = None if place is None else window_sql.backlog_rank(new.priority, now, place)
    row["idempotency_key"] = new.idempotency_key
    row["request_digest"] = None if new.idempotency_key is None else request_digest(new)
    return row


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
