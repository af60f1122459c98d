"""What operators read: dead letters, and everything the record knows of one task."""

from __future__ import annotations

from sqlalchemy import select

from tasks_server.store.statements.terms import Selection, q, t
from tasks_server.store.tables import TASK, TASK_EVENT

e = TASK_EVENT.c


def dead_letters(limit: int) -> Selection:
    """Newest first."""
    return (
        select(t.id, t.owner, t.name, t.quarantined_at, t.crashes, t.last_error)
        .where(t.quarantined_at.is_not(None))
        .order_by(t.quarantined_at.desc(), t.id)
        .limit(limit)
    )


def whole_task(task_id: str) -> Selection:
    """Every column, whoever owns the task and however old it is."""
    return select(TASK).where(t.id == task_id)


def events_of(task_id: str) -> Selection:
    return select(e.at, e.kind, e.body).where(e.task_id == task_id).order_by(e.id)


def answered_with_the_call(task_id: str) -> Selection:
    """Questions that had been answered when the task was created: they belong to the call."""
    return (
        select(q.key, q.request, q.response)
        .join(TASK, t.id == q.task_id)
        .where(q.task_id == task_id, q.asked_at == t.created_at, q.answered_at == t.created_at)
    )
