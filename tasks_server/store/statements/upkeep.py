"""What time demands, each guarded by what was seen, so that of several processes one does it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Update, and_, case, exists, func, select, update

from tasks_server.store.database import began_ms, now_ms
from tasks_server.store.statements.terms import (
    CHANGED,
    DEAD_LETTER_MS,
    IS_ANNOUNCED,
    IS_OPEN,
    NOT_CANCELLING,
    REDISPATCH_AFTER_MS,
    REDISPATCH_AT_MOST_MS,
    UNLEASED,
    Selection,
    finished,
    t,
    unlocked,
)
from tasks_server.store.tables import TASK, TASK_EVENT, WORKER
from tasks_server.task import OutcomeKind, TaskStatus


def tasks_to_dispatch(limit: int) -> Selection:
    """Waiting tasks whose announcement is due, except those behind their owner's window."""
    return (
        select(t.id, t.attempt, t.queue, t.owner)
        .where(t.next_dispatch_at <= began_ms(), t.backlog_rank.is_(None))
        .order_by(t.next_dispatch_at)
        .limit(limit)
    )


def tasks_with_expired_lease(limit: int) -> Selection:
    return select(TASK).where(t.lease_until < began_ms()).order_by(t.lease_until).limit(limit)


def unlocked_tasks_with_expired_lease(limit: int) -> Selection:
    """Those of them that nobody is about to change. The lock is shared: rescuers do not hide tasks from each other.

    holder_is_alive: it has renewed itself after the lease had run out, so something kept it from renewing the lease.
    """
    w = WORKER.c
    is_alive = exists().where(w.id == t.lease_worker, w.stopped_at.is_(None), w.renewed_at > t.lease_until)
    return (
        tasks_with_expired_lease(limit)
        .add_columns(is_alive.label("holder_is_alive"))
        .with_for_update(read=True, skip_locked=True, of=TASK)
    )


def mark_dispatched(ids: Iterable[str]) -> Update:
    """Announced again; the next announcement is twice as far away. A back-off that is over is over.

    A task that is due no more has gone on since it was announced: the pause that it may be in is another one.
    """
    is_due = (t.next_dispatch_at <= now_ms(), t.backlog_rank.is_(None))
    pause = case(
        (t.dispatch_count >= 5, REDISPATCH_AT_MOST_MS),
        *((t.dispatch_count == n, REDISPATCH_AFTER_MS * 2**n) for n in range(5)),
        else_=REDISPATCH_AT_MOST_MS,
    )
    return (
        update(TASK)
        .where(unlocked(t.id.in_(list(ids)), *is_due), *is_due)
        .values(
            next_dispatch_at=now_ms() + pause,
            dispatch_count=t.dispatch_count + 1,
            announced_at=func.coalesce(t.announced_at, now_ms()),
            paused_by=None,
        )
        .returning(t.id)
    )


def redispatch_everything_announced() -> Update:
    """The queue has forgotten what it was told: all of that is due, in order of age.

    What waits behind a window, or for its next attempt, the queue did not know of. A task that somebody else has
    locked keeps its date.
    """
    was_known = (IS_ANNOUNCED, t.paused_by.is_(None))
    return (
        update(TASK)
        .where(unlocked(*was_known), *was_known)
        .values(next_dispatch_at=t.created_at, dispatch_count=0)
    )


def _lease_expired(task_id: str, attempt: int) -> ColumnElement[bool]:
    condition = and_(t.id == task_id, t.attempt == attempt, t.lease_until < now_ms(), IS_OPEN)
    return and_(unlocked(condition), condition)


def rescue_if_lease_expired(task_id: str, attempt: int, error: str) -> Update:
    """The holder is dead or cut off: the task waits for another worker, as a new attempt. The crash is counted."""
    return (
        update(TASK)
        .where(_lease_expired(task_id, attempt), t.status == TaskStatus.WORKING, NOT_CANCELLING)
        .values(
            attempt=t.attempt + 1,
            crashes=t.crashes + 1,
            last_error=error,
            next_dispatch_at=now_ms() + REDISPATCH_AFTER_MS,
            status_message="The worker was lost; waiting for another one",
            **UNLEASED,
            **CHANGED,
        )
        .returning(*TASK.c)
    )


def park_if_lease_expired(task_id: str, attempt: int) -> Update:
    """The holder died while its question was open: nothing is lost, the task is parked."""
    return (
        update(TASK)
        .where(_lease_expired(task_id, attempt), t.status == TaskStatus.INPUT_REQUIRED, NOT_CANCELLING)
        .values(attempt=t.attempt + 1, **UNLEASED)
        .returning(*TASK.c)
    )


def cancel_if_lease_expired(task_id: str, attempt: int) -> Update:
    """→ cancelled in the name of a worker that will not come back."""
    message = "Cancelled; its worker was lost meanwhile"
    return (
        update(TASK)
        .where(_lease_expired(task_id, attempt))
        .values(status_message=message, **finished(OutcomeKind.CANCELLED, None))
        .returning(*TASK.c)
    )


def quarantine_if_lease_expired(task_id: str, attempt: int, outcome: str, message: str, error: str) -> Update:
    """→ failed, as a dead letter, after one crash too many. Kept for operators to look at."""
    kept = case((t.retention_ms < DEAD_LETTER_MS, DEAD_LETTER_MS), else_=t.retention_ms)
    values = {
        **finished(OutcomeKind.RPC_ERROR, outcome),
        "status_message": message,
        "crashes": t.crashes + 1,
        "last_error": error,
        "quarantined_at": now_ms(),
        "ttl_ms": now_ms() - t.created_at + kept,
        "expires_at": now_ms() + kept,
    }
    return update(TASK).where(_lease_expired(task_id, attempt)).values(**values).returning(*TASK.c)


def losses(task_id: str, limit: int) -> Selection:
    """When and where a task has lost its workers, newest first."""
    e = TASK_EVENT.c
    return (
        select(e.at, e.body).where(e.task_id == task_id, e.kind == "lost").order_by(e.id.desc()).limit(limit)
    )
