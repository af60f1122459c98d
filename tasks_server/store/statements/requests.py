"""Writes that clients cause: each is scoped by the owner, or follows a statement that was."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Insert, Update, case, func, insert, select, tuple_, update

from tasks_server.store.database import now_ms
from tasks_server.store.statements.terms import (
    CHANGED,
    IS_OPEN,
    IS_OUTSTANDING,
    MINIMUM_TTL_MS,
    NOT_CANCELLING,
    NOT_EXPIRED,
    REDISPATCH_AFTER_MS,
    Selection,
    finished,
    q,
    t,
)
from tasks_server.store.tables import INPUT_REQUEST, TASK, TASK_EVENT
from tasks_server.task import Door, OutcomeKind, TaskStatus


def recorded(task_ids: Sequence[str]) -> Selection:
    """Of tasks that were submitted, what `submitting.insert_new` returns."""
    return select(t.id, t.created_at, t.announced_at).where(t.id.in_(task_ids))


def tasks_under_keys(keys: Sequence[tuple[str, str | None]]) -> Selection:
    """The tasks with these (owner, idempotency key); is_kept is false for one whose time has passed."""
    return select(TASK, NOT_EXPIRED.label("is_kept")).where(
        t.idempotency_key.is_not(None), tuple_(t.owner, t.idempotency_key).in_(keys)
    )


@cache
def insert_questions() -> Insert:
    return insert(INPUT_REQUEST)


@cache
def insert_events() -> Insert:
    """Only after a statement that locked the task's row in the same transaction: ids then follow commits."""
    return insert(TASK_EVENT)


def lock_task_of(owner: str, task_id: str) -> Update:
    """Take the row's lock and read it, if it is this owner's and not yet finished."""
    return (
        update(TASK)
        .where(t.id == task_id, t.owner == owner, IS_OPEN)
        .values(attempt=t.attempt)
        .returning(*TASK.c)
    )


def answer_question(task_id: str, key: str, response: str) -> Update:
    return (
        update(INPUT_REQUEST)
        .where(q.task_id == task_id, q.key == key, IS_OUTSTANDING)
        .values(response=response, answered_at=now_ms(), answered_by="client")
        .returning(q.key)
    )


def touch_if_open(task_id: str) -> Update:
    """Something a client can see has changed beside the row itself: a question fewer."""
    return update(TASK).where(t.id == task_id, IS_OPEN).values(**CHANGED).returning(*TASK.c)


def hand_out_if_attached(owner: str, task_id: str, retention_ms: int | None) -> Update:
    """attached → handle: from now on the task is listed, and its questions wait for whoever has the id."""
    kept = None if retention_ms is None else max(retention_ms, MINIMUM_TTL_MS)
    return (
        update(TASK)
        .where(t.id == task_id, t.owner == owner, IS_OPEN, t.door == Door.ATTACHED)
        .values(
            door=Door.HANDLE,
            retention_ms=retention_ms,
            ttl_ms=None if kept is None else now_ms() - t.created_at + kept,
            expires_at=None if kept is None else now_ms() + kept,
            **CHANGED,
        )
        .returning(t.id)
    )


def resume_if_asking(task_id: str) -> Update:
    """input_required → working. A parked task waits for a worker again; a held one goes on where it is."""
    parked = t.lease_worker.is_(None)
    return (
        update(TASK)
        .where(t.id == task_id, t.status == TaskStatus.INPUT_REQUIRED)
        .values(
            status=TaskStatus.WORKING,
            next_dispatch_at=case((parked, now_ms() + REDISPATCH_AFTER_MS), else_=None),
            **CHANGED,
        )
        .returning(*TASK.c)
    )


def cancel_if_unheld(owner: str, task_id: str) -> Update:
    """→ cancelled at once, for a task no worker is busy with."""
    return (
        update(TASK)
        .where(t.id == task_id, t.owner == owner, IS_OPEN, t.lease_worker.is_(None))
        .values(
            cancel_requested_at=func.coalesce(t.cancel_requested_at, now_ms()),
            status_message="Cancelled",
            **finished(OutcomeKind.CANCELLED, None),
        )
        .returning(*TASK.c)
    )


def request_cancel_if_held(owner: str, task_id: str) -> Update:
    """Ask the worker that holds the task to stop it; the worker ends it as cancelled."""
    return (
        update(TASK)
        .where(
            t.id == task_id,
            t.owner == owner,
            IS_OPEN,
            t.lease_worker.is_not(None),
            NOT_CANCELLING,
        )
        .values(cancel_requested_at=now_ms(), status_message="Cancelling", **CHANGED)
        .returning(*TASK.c)
    )
