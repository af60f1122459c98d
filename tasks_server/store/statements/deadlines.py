"""What deadlines demand: of tasks that no worker holds, and of questions that nobody has answered."""

from __future__ import annotations

from sqlalchemy import Update, and_, or_, select, update

from tasks_server.store.database import began_ms, now_ms
from tasks_server.store.statements.terms import IS_OPEN, IS_OUTSTANDING, Selection, finished, q, t
from tasks_server.store.tables import INPUT_REQUEST, TASK
from tasks_server.task import OutcomeKind


def tasks_past_deadline(limit: int) -> Selection:
    """Unfinished tasks whose deadline has passed; those a worker holds are that worker's to stop."""
    return (
        select(TASK)
        .where(t.deadline_at <= began_ms(), t.finished_at.is_(None), t.lease_worker.is_(None))
        .order_by(t.deadline_at)
        .limit(limit)
    )


def tasks_not_started_in_time(limit: int) -> Selection:
    """Tasks that have never been started and should have been by now."""
    return (
        select(TASK)
        .where(t.start_by <= began_ms(), t.started_at.is_(None), t.finished_at.is_(None))
        .order_by(t.start_by)
        .limit(limit)
    )


def fail_if_overdue(task_id: str, outcome: str, message: str) -> Update:
    """→ failed, for a task that nobody holds and whose time is up."""
    return (
        update(TASK)
        .where(
            t.id == task_id,
            IS_OPEN,
            t.lease_worker.is_(None),
            or_(t.deadline_at <= now_ms(), and_(t.start_by <= now_ms(), t.started_at.is_(None))),
        )
        .values(status_message=message, **finished(OutcomeKind.RPC_ERROR, outcome))
        .returning(t.id)
    )


def tasks_with_overdue_questions(limit: int) -> Selection:
    """Tasks, also finished ones, with an outstanding question whose deadline has passed."""
    return (
        select(q.task_id)
        .where(q.deadline_at <= began_ms(), IS_OUTSTANDING)
        .order_by(q.deadline_at)
        .limit(limit)
    )


def task_unless_locked(task_id: str) -> Selection:
    """Lock the task's row and read it, if nobody else has locked it."""
    return select(TASK).where(t.id == task_id).with_for_update(skip_locked=True, key_share=True)


def answer_overdue_questions(task_id: str) -> Update:
    """What was to become of these questions if nobody answered becomes their response."""
    return (
        update(INPUT_REQUEST)
        .where(q.task_id == task_id, q.deadline_at <= now_ms(), IS_OUTSTANDING)
        .values(response=q.default_response, answered_at=now_ms(), answered_by="deadline")
        .returning(q.key)
    )


def withdraw_questions(task_id: str) -> Update:
    """The questions of a task that has ended wait for nothing any more."""
    return update(INPUT_REQUEST).where(q.task_id == task_id, IS_OUTSTANDING).values(withdrawn_at=now_ms())
