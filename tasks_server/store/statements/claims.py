"""Taking tasks, and keeping them by their leases. Who comes second, or too late, changes no row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Update, func, select, true, update

from tasks_server.store.database import now_ms
from tasks_server.store.statements.breakers import MAY_START, failures_of_its_tool
from tasks_server.store.statements.terms import (
    CHANGED,
    IN_TIME,
    IS_OPEN,
    NOT_WAITING,
    Selection,
    held,
    t,
    unlocked,
    waits,
)
from tasks_server.store.statements.window import has_backlog, rank_in_backlog, running
from tasks_server.store.tables import TASK

STARTED: dict[str, Any] = {
    "started_at": func.coalesce(t.started_at, now_ms()),
    "dispatch_count": 0,
    "status_message": None,
    **NOT_WAITING,
    **CHANGED,
}


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
    unless it lets this task probe.
    """
    within_limit = [] if max_running is None else [running(t.owner, max_running) < max_running]
    return (
        update(TASK)
        .where(waits(task_id, attempt), IN_TIME, *within_limit, true() if is_probe else MAY_START)
        .values(lease_worker=worker, lease_until=now_ms() + lease_ms, **STARTED)
        .returning(*TASK.c, *around_claimed())
    )


def around_claimed() -> tuple[ColumnElement[Any], ...]:
    """What is told of a claimed task beside its columns. has_backlog: others wait behind its window."""
    return has_backlog().label("has_backlog"), failures_of_its_tool().label("failures_of_its_tool")


def claim_one_at_a_time(task_id: str) -> Selection:
    """PostgreSQL: who claims a task of the same owner waits here, so that a limit is counted by one at a time."""
    return select(func.pg_advisory_xact_lock(func.hashtextextended(t.owner, 0))).where(t.id == task_id)


def step_back_if_over_limit(task_id: str, attempt: int, max_running: int) -> Update:
    """Out of the window again, because its owner may not run more at the moment: a new attempt, nothing charged."""
    limit = f"{max_running} task{'s' if max_running > 1 else ''}"
    return (
        update(TASK)
        .where(waits(task_id, attempt), running(t.owner, max_running) >= max_running)
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
    return select(*TASK.c, failures).where(held(task_id, attempt, worker))


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
    return select(t.cancel_requested_at).where(held(task_id, attempt, worker))


def lock_if_held(task_id: str, attempt: int, worker: str) -> Update:
    """Take the row's lock for a write beside the task itself (a checkpoint, an artifact)."""
    return (
        update(TASK).where(held(task_id, attempt, worker)).values(lease_until=t.lease_until).returning(t.id)
    )
