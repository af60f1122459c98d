"""What a run leaves in the record while it goes on: reports, log lines, steps, artifacts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Delete, Insert, Update, delete, insert, select, update
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from tasks_server.store.statements.terms import CHANGED, Selection, held, t
from tasks_server.store.tables import ARTIFACT, CHECKPOINT, TASK, TASK_EVENT


def report_if_held(task_id: str, attempt: int, worker: str, values: dict[str, Any]) -> Update:
    """Progress or a status message, from the worker that holds the task."""
    return (
        update(TASK)
        .where(held(task_id, attempt, worker))
        .values(**values, log_rows=t.log_rows + 1, **CHANGED)
        .returning(t.updated_at, t.log_rows)
    )


def count_lines_if_held(task_id: str, attempt: int, worker: str, lines: int) -> Update:
    """Room for log lines, which are inserted in the same transaction."""
    return (
        update(TASK)
        .where(held(task_id, attempt, worker))
        .values(log_rows=t.log_rows + lines)
        .returning(t.log_rows)
    )


def insert_lines() -> ReturningInsert[Any]:
    """→ their ids."""
    return insert(TASK_EVENT).returning(TASK_EVENT.c.id)


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
