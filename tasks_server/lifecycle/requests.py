"""The status changes that clients cause: create, answer, cancel. Guard → commit → publish."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.elicitation import check_answer
from tasks_server.encoding import decode_json, encode_text
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.answers import go_on
from tasks_server.store.batch import Batch
from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.outage import PAUSE_SECONDS, is_outage
from tasks_server.store.rows import new_task_as_read, row_of_new_task
from tasks_server.store.statements import reading as reading_sql
from tasks_server.store.statements import requests as requests_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.task import NewTask, Task

log = logging.getLogger(__name__)

SETTLE_SECONDS = 8.0
"""How long a submission whose commit was cut off waits for the database, to learn what has become of it."""


class ClientRequests:
    """What a caller may do to tasks. Every method is scoped by owner, and none reveals a foreign task."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer
        self._creations: Batch[NewTask, Task] = Batch(self._create_together)

    async def create(self, new: NewTask) -> Task:
        """Record a task and hand it to the queue. Returns after the commit that holds its row."""
        return await self._creations.submit(new)

    async def _create_together(self, news: Sequence[NewTask]) -> Sequence[Task]:
        now = 0
        inserted = False
        try:
            async with self._database.transaction() as connection:
                now = (await connection.execute(terms_sql.clock())).scalar_one()
                await self._insert(connection, news, now)
                inserted = True
        except DATABASE_UNAVAILABLE as error:
            if not inserted or not is_outage(error):
                raise
            log.warning("The answer to a commit was lost, looking whether it holds: %s", error)
            now = await self._settle(news, error)
        tasks = [new_task_as_read(new, now) for new in news]
        await self._announcer.waiting(tasks)
        return tasks

    async def _insert(self, connection: AsyncConnection, news: Sequence[NewTask], now: int) -> None:
        due = now + terms_sql.REDISPATCH_AFTER_MS
        await connection.execute(
            requests_sql.insert_tasks(), [row_of_new_task(new, now, due) for new in news]
        )
        answered = [row for new in news for row in _answered_before(new, now)]
        if answered:
            await connection.execute(requests_sql.insert_questions(), answered)

    async def _settle(self, news: Sequence[NewTask], lost: BaseException) -> int:
        """When these tasks were created, whose commit may or may not have succeeded: now, if it has not.

        They are inserted again under the same ids: that waits for a commit that is still under way, and fails
        if it has succeeded. Raises what was lost if the database stays away for too long.
        """
        with anyio.move_on_after(SETTLE_SECONDS):
            while True:
                with suppress(*DATABASE_UNAVAILABLE):
                    async with self._database.transaction() as connection:
                        created = await connection.execute(requests_sql.created_at(news[0].id))
                        created_at: int | None = created.scalar_one_or_none()
                        if created_at is not None:
                            return created_at
                        now: int = (await connection.execute(terms_sql.clock())).scalar_one()
                        await self._insert(connection, news, now)
                    return now
                await anyio.sleep(PAUSE_SECONDS)
        raise lost

    async def answer(self, owner: str, task_id: str, responses: Mapping[str, Any]) -> None:
        """Store answers to outstanding questions; when none is left, the task goes on.

        Keys that name no outstanding question are ignored, whatever their values are, and so is everything
        for a task that is finished or not there: callers look it up first.
        Raises InvalidAnswer if a value does not fit its question, in which case none is stored.
        """
        async with self._database.transaction() as connection:
            row = (await connection.execute(requests_sql.lock_task_of(owner, task_id))).one_or_none()
            if row is None:
                return
            outstanding = {
                question.key: question.request
                for question in await connection.execute(reading_sql.questions_of(task_id))
                if question.response is None and question.withdrawn_at is None
            }
            given = {key: value for key, value in responses.items() if key in outstanding}
            for key, value in given.items():
                check_answer(key, decode_json(outstanding[key]), value)
            if not given:
                return
            for key, value in given.items():
                await connection.execute(requests_sql.answer_question(task_id, key, encode_text(value)))
            all_answered = len(given) == len(outstanding)
            changed = await go_on(connection, task_id, list(given), "client", all_answered=all_answered)
        if changed is not None:
            if changed.lease_worker is None and all_answered:
                await self._announcer.waiting([changed])
            await self._announcer.nudged(task_id)

    async def cancel(self, owner: str, task_id: str) -> None:
        """End a task that nobody runs, or ask the worker that runs it to stop. A finished task stays as it is.

        Does not say whether the task exists: callers look it up first.
        """
        async with self._database.transaction() as connection:
            # Locked first, so that it cannot be let go of, or taken, between the look and the change.
            row = (await connection.execute(requests_sql.lock_task_of(owner, task_id))).one_or_none()
            if row is None:
                return
            change = (
                requests_sql.cancel_if_unheld(owner, task_id)
                if row.lease_worker is None
                else requests_sql.request_cancel_if_held(owner, task_id)
            )
            if (await connection.execute(change)).one_or_none() is None:
                return
        await self._announcer.nudged(task_id)


def _answered_before(new: NewTask, now: int) -> list[dict[str, Any]]:
    return [
        {
            "task_id": new.id,
            "key": question.key,
            "ordinal": question.key,
            "request": question.request,
            "asked_at": now,
            "response": response,
            "answered_at": now,
            "answered_by": "client",
        }
        for question, response in new.answers
    ]
