"""The status changes that clients cause: create, answer, cancel. Guard → commit → publish."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.batch import Batch
from tasks_server.elicitation import check_answer
from tasks_server.encoding import decode_json, encode_text
from tasks_server.errors import TasksError
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.answers import go_on
from tasks_server.lifecycle.quotas import USUAL_QUOTAS, Quotas
from tasks_server.lifecycle.submissions import (
    Submitted,
    are_plain,
    results,
    submit_plain,
    submit_together,
)
from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.outage import PAUSE_SECONDS, is_outage, may_be_done
from tasks_server.store.statements import reading as reading_sql
from tasks_server.store.statements import requests as requests_sql
from tasks_server.task import NewTask, Task

log = logging.getLogger(__name__)

SETTLE_SECONDS = 8.0
"""How long a submission whose commit was cut off waits for the database, to learn what has become of it."""


class ClientRequests:
    """What a caller may do to tasks. Every method is scoped by owner, and none reveals a foreign task."""

    def __init__(self, database: Database, announcer: Announcer, quotas: Quotas = USUAL_QUOTAS) -> None:
        self._database = database
        self._announcer = announcer
        self._quotas = quotas
        self._creations: Batch[NewTask, Submitted] = Batch(self._create_together, hits_all=is_outage)

    async def create(self, new: NewTask) -> Task:
        """Record a task and hand it to the queue. Returns after the commit that holds its row.

        Under an idempotency key that is taken the task that has it is returned, as it is now.
        Raises IdempotencyConflict if that carries out another request, TooManyQueued at the owner's limit.
        """
        outcome = (await self._creations.submit(new)).outcome
        if isinstance(outcome, TasksError):
            raise outcome
        return outcome

    async def _create_together(self, news: Sequence[NewTask]) -> Sequence[Submitted]:
        submitted = await (self._record_plain(news) if are_plain(news) else self._record(news))
        # First, so that who listens follows a task before its worker has anything to say.
        await self._announcer.handed_out(
            [new for new, each in zip(news, submitted, strict=True) if each.has_created(new)]
        )
        announced = [each.outcome for each in submitted if each.announce and isinstance(each.outcome, Task)]
        if announced:
            await self._announcer.waiting(announced)
        return submitted

    async def _record_plain(self, news: Sequence[NewTask]) -> Sequence[Submitted]:
        """By one statement, which commits by itself."""
        is_sent = False
        try:
            async with self._database.quick_writing() as connection:
                is_sent = True
                is_sqlite = self._database.is_sqlite
                return await submit_plain(connection, news, self._quotas, is_sqlite=is_sqlite)
        except DATABASE_UNAVAILABLE as error:
            if not is_sent or not may_be_done(error):
                raise
            return await self._settle(news, None, error)

    async def _record(self, news: Sequence[NewTask]) -> Sequence[Submitted]:
        submitted: Sequence[Submitted] | None = None
        try:
            async with self._database.transaction() as connection:
                submitted = await self._submit(connection, news)
        except DATABASE_UNAVAILABLE as error:
            if submitted is None or not is_outage(error):
                raise
            return await self._settle(news, submitted, error)
        return submitted

    async def _submit(self, connection: AsyncConnection, news: Sequence[NewTask]) -> Sequence[Submitted]:
        return await submit_together(connection, news, self._quotas, is_sqlite=self._database.is_sqlite)

    async def _settle(
        self, news: Sequence[NewTask], submitted: Sequence[Submitted] | None, lost: BaseException
    ) -> Sequence[Submitted]:
        """What has become of submissions whose commit may or may not have succeeded.

        They are submitted again under the same ids: that waits for a commit that is still under way, and fails
        if it has succeeded. Raises what was lost if the database stays away for too long.
        submitted: what the answer is if they are there; None: as it can be seen.
        """
        log.warning("The answer to a commit was lost, looking whether it holds: %s", lost)
        if submitted is not None and not any(map(Submitted.has_created, submitted, news)):
            return submitted
        with anyio.move_on_after(SETTLE_SECONDS):
            while True:
                with suppress(*DATABASE_UNAVAILABLE):
                    async with self._database.transaction() as connection:
                        recorded = requests_sql.recorded([new.id for new in news])
                        rows = (await connection.execute(recorded)).all()
                        if not rows:
                            return await self._submit(connection, news)
                    return submitted or results(news, rows, self._quotas)
                await anyio.sleep(PAUSE_SECONDS)
        raise lost

    async def hand_out(self, owner: str, task_id: str, retention_ms: int | None) -> None:
        """Make an attached call one that its owner fetches by id; one that has ended, or is none, stays as it is."""
        change = requests_sql.hand_out_if_attached(owner, task_id, retention_ms)
        async with self._database.writing() as connection:
            row = (await connection.execute(change)).one_or_none()
        if row is not None:
            await self._announcer.changed(task_id)

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
