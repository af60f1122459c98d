"""How long tasks are kept: prolonging what is unfinished, deleting what has had its time. A bounded batch each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, Update, and_, case, delete, or_, select, tuple_, update
from sqlalchemy.sql.dml import ReturningDelete

from tasks_server.store.database import began_ms, now_ms
from tasks_server.store.statements.terms import CHANGED, MINIMUM_TTL_MS, Selection, finished, t
from tasks_server.store.tables import ARTIFACT, CHECKPOINT, INPUT_REQUEST, TASK, TASK_EVENT
from tasks_server.task import Door, OutcomeKind, TaskStatus

HANGING_ON_TASKS = (TASK_EVENT, CHECKPOINT, INPUT_REQUEST, ARTIFACT)
"""Tables of which a task may have any number of rows."""

# An attached call whose question nobody came back to answer, and nobody else can: its caller has no handle.
_IS_ABANDONED = and_(
    t.door == Door.ATTACHED,
    t.status == TaskStatus.INPUT_REQUIRED,
    t.lease_worker.is_(None),
    t.expires_at <= began_ms(),
)
_RUNS_OUT = and_(
    t.expires_at < began_ms() + MINIMUM_TTL_MS // 2,
    t.finished_at.is_(None),
    or_(t.door != Door.ATTACHED, t.status != TaskStatus.INPUT_REQUIRED),
)


def _first(condition: ColumnElement[bool], limit: int) -> ColumnElement[bool]:
    """The tasks that have waited longest for this, except those that somebody else changes just now.

    As a common table expression, because PostgreSQL may run a plain subquery, with its limit, several times.
    """
    chosen = (
        select(t.id).where(condition).order_by(t.expires_at).limit(limit).with_for_update(skip_locked=True)
    ).cte("chosen")
    return t.id.in_(select(chosen.c.id))


def cancel_abandoned(limit: int) -> Update:
    """→ cancelled, for attached calls that were left at a question for their whole time."""
    values = {**finished(OutcomeKind.CANCELLED, None), "status_message": "Its question was never answered"}
    return update(TASK).where(_first(_IS_ABANDONED, limit), _IS_ABANDONED).values(**values).returning(t.id)


def extend_unfinished(limit: int) -> Update:
    """Unfinished work does not expire: its time is prolonged before it runs out."""
    kept = case((t.retention_ms < MINIMUM_TTL_MS, MINIMUM_TTL_MS), else_=t.retention_ms)
    return (
        update(TASK)
        .where(_first(_RUNS_OUT, limit), _RUNS_OUT)
        .values(ttl_ms=now_ms() - t.created_at + kept, expires_at=now_ms() + kept, **CHANGED)
        .returning(t.id)
    )


def finished_tasks_past_expiry(limit: int) -> Selection:
    return (
        select(t.id)
        .where(t.expires_at <= began_ms(), t.finished_at.is_not(None))
        .order_by(t.expires_at)
        .limit(limit)
    )


def delete_hanging(table: Table, task_ids: Sequence[str], limit: int) -> ReturningDelete[Any]:
    """So many rows of tasks that nobody can read any more, except those that somebody else is deleting."""
    key = list(table.primary_key.columns)
    chosen = (
        select(*key).where(table.c.task_id.in_(task_ids)).limit(limit).with_for_update(skip_locked=True)
    ).cte("chosen")
    keys = select(*chosen.columns)
    is_chosen = tuple_(*key).in_(keys) if len(key) > 1 else key[0].in_(keys)
    return delete(table).where(is_chosen).returning(key[0])


def delete_finished(ids: Sequence[str]) -> ReturningDelete[Any]:
    """What is past its time; the ids that were still there."""
    return delete(TASK).where(*_is_past(ids)).returning(t.id)


def delete_finished_unless_locked(ids: Sequence[str]) -> ReturningDelete[Any]:
    """What somebody else has locked is left for the next time."""
    chosen = select(t.id).where(*_is_past(ids)).with_for_update(skip_locked=True).cte("chosen")
    return delete(TASK).where(t.id.in_(select(chosen.c.id)), *_is_past(ids)).returning(t.id)


def _is_past(ids: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    return t.id.in_(ids), t.finished_at.is_not(None), t.expires_at <= now_ms()
