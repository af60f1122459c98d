"""What a worker does to tasks it holds, fenced by attempt and lease: a fence that does not hold changes no row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Update,
    and_,
    case,
    delete,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.sql.dml import ReturningDelete

from tasks_server.store.database import now_ms
from tasks_server.store.statements.breakers import MAY_START, failures_of_its_tool
from tasks_server.store.statements.terms import (
    CHANGED,
    IN_TIME,
    IS_OPEN,
    IS_OUTSTANDING,
    NOT_CANCELLING,
    NOT_WAITING,
    UNLEASED,
    Selection,
    finished,
    q,
    t,
    unlocked,
)
from tasks_server.store.statements.window import has_backlog, rank_in_backlog, running
from tasks_server.store.tables import ARTIFACT, CHECKPOINT, INPUT_REQUEST, TASK, TASK_EVENT
from tasks_server.task import ATTACHED_ANSWER_SECONDS, Door, OutcomeKind, PausedBy, TaskStatus


def _held(task_id: str, attempt: int, worker: str) -> ColumnElement[bool]:
    return and_(t.id == task_id, t.attempt == attempt, t.lease_worker == worker, IS_OPEN)


def claim_if_waiting(
    task_id: str,
    attempt: int,
    worker: str,
    lease_ms: int,
    max_running: int | None = None,
    *,
    is_probe: bool = False,
) -> Update:
    """Take a waiting task; whoever comes second, too late, or with an older attempt, gets no row.

    Neither does anybody while its owner has max_running tasks held, or while the circuit breaker of its tool is open,
    unless it lets this task probe. has_backlog: others wait behind its window.
    """
    within_limit = [] if max_running is None else [running(t.owner, max_running) < max_running]
    return (
        update(TASK)
        .where(
            t.id == task_id,
            t.attempt == attempt,
            t.status == TaskStatus.WORKING,
            t.lease_worker.is_(None),
            IN_TIME,
            *within_limit,
            true() if is_probe else MAY_START,
        )
        .values(
            lease_worker=worker,
            lease_until=now_ms() + lease_ms,
            started_at=func.coalesce(t.started_at, now_ms()),
            dispatch_count=0,
            status_message=None,
            **NOT_WAITING,
            **CHANGED,
        )
        .returning(
            *TASK.c,
            has_backlog().label("has_backlog"),
            failures_of_its_tool().label("failures_of_its_tool"),
        )
    )


def claim_one_at_a_time(task_id: str) -> Selection:
    """PostgreSQL: who claims a task of the same owner waits here, so that a limit is counted by one at a time."""
    return select(func.pg_advisory_xact_lock(func.hashtextextended(t.owner, 0))).where(t.id == task_id)


def step_back_if_over_limit(task_id: str, attempt: int, max_running: int) -> Update:
    """Out of the window again, because its owner may not run more at the moment: a new attempt, nothing charged."""
    limit = f"{max_running} task{'s' if max_running > 1 else ''}"
    return (
        update(TASK)
        .where(
            t.id == task_id,
            t.attempt == attempt,
            t.status == TaskStatus.WORKING,
            t.lease_worker.is_(None),
            running(t.owner, max_running) >= max_running,
        )
        .values(
            attempt=t.attempt + 1,
            announced_at=None,
            backlog_rank=rank_in_backlog(),
            paused_by=None,  # also of a breaker: what may not run must not be the one that others wait for
            status_message=f"Waiting until another task of this owner ends: at most {limit} may run at a time",
            **CHANGED,
        )
        .returning(t.owner, t.queue)
    )


def task_if_held(task_id: str, attempt: int, worker: str) -> Selection:
    failures = failures_of_its_tool().label("failures_of_its_tool")
    return select(*TASK.c, failures).where(_held(task_id, attempt, worker))


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


def renew_leases(worker: str, ids: Sequence[str], lease_ms: int) -> Update:
    """Prolong what this worker runs. What it gets no row for it has lost, or somebody else has locked just now."""
    is_held = (t.lease_worker == worker, IS_OPEN)
    return (
        update(TASK)
        .where(unlocked(t.id.in_(ids), *is_held), *is_held)
        .values(lease_until=now_ms() + lease_ms)
        .returning(t.id, t.attempt, t.cancel_requested_at)
    )


def held_among(worker: str, ids: Sequence[str]) -> Selection:
    """Which of these tasks the worker holds; reading waits for no lock."""
    return select(t.id, t.attempt, t.cancel_requested_at).where(
        t.id.in_(ids), t.lease_worker == worker, IS_OPEN
    )


def standing(task_id: str, attempt: int, worker: str) -> Selection:
    """A held task's cancel request, if the worker still holds it."""
    return select(t.cancel_requested_at).where(_held(task_id, attempt, worker))


def report_if_held(task_id: str, attempt: int, worker: str, values: dict[str, Any]) -> Update:
    """Progress or a status message, from the worker that holds the task."""
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker))
        .values(**values, log_rows=t.log_rows + 1, **CHANGED)
        .returning(t.updated_at, t.log_rows)
    )


def count_lines_if_held(task_id: str, attempt: int, worker: str, lines: int) -> Update:
    """Room for log lines, which are inserted in the same transaction."""
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker))
        .values(log_rows=t.log_rows + lines)
        .returning(t.log_rows)
    )


def lock_if_held(task_id: str, attempt: int, worker: str) -> Update:
    """Take the row's lock for a write beside the task itself (a checkpoint, an artifact)."""
    return (
        update(TASK).where(_held(task_id, attempt, worker)).values(lease_until=t.lease_until).returning(t.id)
    )


def require_input_if_held(task_id: str, attempt: int, worker: str) -> Update:
    """working → input_required, with the question inserted in the same transaction.

    An attached call gets as long for its answer as its caller's requestState lives; a handle is extended.
    """
    answerable_until = now_ms() + ATTACHED_ANSWER_SECONDS * 1000
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker))
        .values(
            status=TaskStatus.INPUT_REQUIRED,
            expires_at=case((t.door == Door.ATTACHED, answerable_until), else_=t.expires_at),
            **CHANGED,
        )
        .returning(t.revision)
    )


def park_if_asking(task_id: str, attempt: int, worker: str) -> Update:
    """Give up slot and lease while a question is open. The next run is a new attempt, and not a retry."""
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker), t.status == TaskStatus.INPUT_REQUIRED, NOT_CANCELLING)
        .values(attempt=t.attempt + 1, **UNLEASED)
        .returning(t.attempt, t.owner)
    )


def finish_if_held(
    task_id: str, attempt: int, worker: str, kind: OutcomeKind, outcome: str | None, values: dict[str, Any]
) -> Update:
    """→ completed, failed or cancelled, by the worker that holds the task."""
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker))
        .values(**values, **finished(kind, outcome))
        .returning(*TASK.c)
    )


def release_if_held(task_id: str, attempt: int, worker: str, announce_after_ms: int) -> Update:
    """Hand a task back to the queue uncharged: the worker is shutting down. A question stays open, parked."""
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker), NOT_CANCELLING)
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
        .where(_held(task_id, attempt, worker), NOT_CANCELLING)
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


def withdraw_question(task_id: str, key: str) -> Update:
    return (
        update(INPUT_REQUEST)
        .where(q.task_id == task_id, q.key == key, IS_OUTSTANDING)
        .values(withdrawn_at=now_ms())
    )


def withdraw_outstanding(task_id: str) -> Update:
    """Take back every question of the task that has no answer. → their keys"""
    return (
        update(INPUT_REQUEST)
        .where(q.task_id == task_id, IS_OUTSTANDING)
        .values(withdrawn_at=now_ms())
        .returning(q.key)
    )


def checkpoint(task_id: str, name: str) -> Selection:
    return select(CHECKPOINT.c.value).where(CHECKPOINT.c.task_id == task_id, CHECKPOINT.c.name == name)


def delete_checkpoint(task_id: str, name: str) -> Delete:
    return delete(CHECKPOINT).where(CHECKPOINT.c.task_id == task_id, CHECKPOINT.c.name == name)


def insert_checkpoint() -> Insert:
    return insert(CHECKPOINT)


def delete_artifact(task_id: str, name: str) -> ReturningDelete[Any]:
    """→ where the file of that name lay."""
    artifact = ARTIFACT.c
    return (
        delete(ARTIFACT)
        .where(artifact.task_id == task_id, artifact.name == name)
        .returning(artifact.location)
    )


def insert_artifact() -> Insert:
    return insert(ARTIFACT)
