"""How an attempt ends, fenced by attempt and lease: a fence that does not hold changes no row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Update, case, select, update

from tasks_server.store.database import now_ms
from tasks_server.store.statements.terms import (
    CHANGED,
    NOT_CANCELLING,
    UNLEASED,
    Selection,
    finished,
    held,
    t,
)
from tasks_server.store.tables import TASK, TASK_EVENT
from tasks_server.task import OutcomeKind, PausedBy, TaskStatus


def finish_if_held(
    task_id: str, attempt: int, worker: str, kind: OutcomeKind, outcome: str | None, values: dict[str, Any]
) -> Update:
    """→ completed, failed or cancelled, by the worker that holds the task."""
    return (
        update(TASK)
        .where(held(task_id, attempt, worker))
        .values(**values, **finished(kind, outcome))
        .returning(*TASK.c)
    )


def park_if_asking(task_id: str, attempt: int, worker: str) -> Update:
    """Give up slot and lease while a question is open. The next run is a new attempt, and not a retry."""
    return (
        update(TASK)
        .where(held(task_id, attempt, worker), t.status == TaskStatus.INPUT_REQUIRED, NOT_CANCELLING)
        .values(attempt=t.attempt + 1, **UNLEASED)
        .returning(t.attempt, t.owner)
    )


def release_if_held(task_id: str, attempt: int, worker: str, announce_after_ms: int) -> Update:
    """Hand a task back to the queue uncharged: the worker is shutting down. A question stays open, parked."""
    return (
        update(TASK)
        .where(held(task_id, attempt, worker), NOT_CANCELLING)
        .values(
            attempt=t.attempt + 1,
            next_dispatch_at=case((t.status == TaskStatus.WORKING, now_ms() + announce_after_ms), else_=None),
            **UNLEASED,
        )
        .returning(*TASK.c)
    )


def retry_if_held(task_id: str, attempt: int, worker: str, pause_ms: int, message: str, error: str) -> Update:
    """The attempt failed for a reason that may pass: the next one waits, and is announced when the pause is over."""
    return (
        update(TASK)
        .where(held(task_id, attempt, worker), NOT_CANCELLING)
        .values(
            status=TaskStatus.WORKING,
            status_message=message,
            attempt=t.attempt + 1,
            retries_used=t.retries_used + 1,
            last_error=error,
            next_dispatch_at=now_ms() + pause_ms,
            paused_by=PausedBy.BACKOFF,
            **UNLEASED,
            **CHANGED,
        )
        .returning(*TASK.c)
    )


def outcome_if_ended(task_id: str, attempt: int) -> Selection:
    """How the task has ended, if it has in this attempt."""
    return select(t.outcome_kind, t.outcome).where(
        t.id == task_id, t.attempt == attempt, t.finished_at.is_not(None)
    )


def last_let_go(task_id: str) -> Selection:
    """The last time a worker has given up the task by itself: which attempt that was."""
    e = TASK_EVENT.c
    return (
        select(e.body)
        .where(e.task_id == task_id, e.kind.in_(["released", "failed"]))
        .order_by(e.id.desc())
        .limit(1)
    )
