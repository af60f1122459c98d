"""What an answer does to its task, whoever gave it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.lifecycle.events import EventKind, event
from tasks_server.store.rows import task_from_row
from tasks_server.store.statements import requests as requests_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.task import Task

Answerer = Literal["client", "deadline"]


async def go_on(
    connection: AsyncConnection, task_id: str, keys: Sequence[str], by: Answerer, *, all_answered: bool
) -> Task | None:
    """Let a task go on whose questions of these keys have just been answered, under its row's lock."""
    change = requests_sql.resume_if_asking(task_id) if all_answered else requests_sql.touch_if_open(task_id)
    row = (await connection.execute(change)).one_or_none()
    now: int = (await connection.execute(terms_sql.clock())).scalar_one()
    events = [event(task_id, now, EventKind.ANSWER, {"key": key, "by": by}) for key in keys]
    await connection.execute(requests_sql.insert_events(), events)
    return None if row is None else task_from_row(row)
