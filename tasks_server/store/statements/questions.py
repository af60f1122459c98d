"""Questions that a run puts to the client, and takes back."""

from __future__ import annotations

from sqlalchemy import Update, case, update

from tasks_server.store.database import now_ms
from tasks_server.store.statements.terms import CHANGED, IS_OUTSTANDING, held, q, t
from tasks_server.store.tables import INPUT_REQUEST, TASK
from tasks_server.task import ATTACHED_ANSWER_SECONDS, Door, TaskStatus


def require_input_if_held(task_id: str, attempt: int, worker: str) -> Update:
    """working → input_required, with the question inserted in the same transaction.

    An attached call gets as long for its answer as its caller's requestState lives; a handle is extended.
    """
    answerable_until = now_ms() + ATTACHED_ANSWER_SECONDS * 1000
    return (
        update(TASK)
        .where(held(task_id, attempt, worker))
        .values(
            status=TaskStatus.INPUT_REQUIRED,
            expires_at=case((t.door == Door.ATTACHED, answerable_until), else_=t.expires_at),
            **CHANGED,
        )
        .returning(t.revision)
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
