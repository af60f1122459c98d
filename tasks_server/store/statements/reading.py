"""Reading, for servers and workers alike."""

from __future__ import annotations

from functools import cache

from sqlalchemy import and_, select

from tasks_server.store.statements.given import is_given
from tasks_server.store.statements.terms import IS_OPEN, IS_OUTSTANDING, NOT_EXPIRED, Selection, q, t
from tasks_server.store.tables import ARTIFACT, INPUT_REQUEST, TASK


@cache
def tasks_by_id(*, is_sqlite: bool) -> Selection:
    """The given tasks, a row for each outstanding question (or one row without), as one consistent snapshot.

    A finished task past its time is as good as gone.
    """
    return (
        select(TASK, q.key.label("question_key"), q.request.label("question"))
        .outerjoin(INPUT_REQUEST, and_(q.task_id == t.id, IS_OUTSTANDING, IS_OPEN))
        .where(is_given(t.id, is_sqlite=is_sqlite), NOT_EXPIRED)
        .order_by(q.asked_at, q.key)
    )


def questions_of(task_id: str) -> Selection:
    """Every question of a task with its answer, oldest first."""
    return (
        select(q.key, q.ordinal, q.request, q.response, q.withdrawn_at)
        .where(q.task_id == task_id)
        .order_by(q.asked_at, q.key)
    )


def artifact(owner: str, task_id: str, name: str) -> Selection:
    """An artifact of a task of this owner, unless the task is past its time."""
    return (
        select(ARTIFACT)
        .join(TASK, t.id == ARTIFACT.c.task_id)
        .where(
            ARTIFACT.c.task_id == task_id,
            ARTIFACT.c.name == name,
            t.owner == owner,
            NOT_EXPIRED,
        )
    )
