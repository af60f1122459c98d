"""The status changes that time causes: announce what waits, rescue what its worker lost.

Any number of processes may do this at once: each change is guarded by what it saw, so it happens once.
"""

from __future__ import annotations

import logging

from sqlalchemy import Update
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.encoding import decode_json
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.dead_letter import Loss, dead_letter
from tasks_server.lifecycle.events import EventKind, event
from tasks_server.lifecycle.grace import Grace
from tasks_server.queue import Dispatch, TaskQueue
from tasks_server.store.database import Database
from tasks_server.store.rows import readable, task_from_row
from tasks_server.store.statements import requests as requests_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.store.statements import upkeep as upkeep_sql
from tasks_server.task import Task, TaskStatus

log = logging.getLogger(__name__)

DISPATCH_BATCH = 500
RESCUE_BATCH = 100


class Upkeep:
    """Each method does one batch and says how much it did."""

    def __init__(self, database: Database, queue: TaskQueue, announcer: Announcer) -> None:
        self._database = database
        self._queue = queue
        self._announcer = announcer
        self._grace = Grace()

    async def dispatch(self) -> int:
        """Announce waiting tasks whose time has come, and again what Redis knew before it lost its memory."""
        if await self._queue.has_forgotten():
            async with self._database.writing() as connection:
                await connection.execute(upkeep_sql.redispatch_everything_announced())
            await self._queue.caught_up()
        async with self._database.reading() as connection:
            rows = (await connection.execute(upkeep_sql.tasks_to_dispatch(DISPATCH_BATCH))).all()
        if not rows:
            return 0
        if not await self._queue.enqueue(
            [Dispatch(row.id, row.attempt, row.queue, row.owner) for row in rows]
        ):
            return 0
        async with self._database.writing() as connection:
            marked = upkeep_sql.mark_dispatched([row.id for row in rows])
            return len((await connection.execute(marked)).all())

    async def rescue(self) -> int:
        """Take tasks from workers whose lease has run out."""
        async with self._database.reading() as connection:
            # Looked at without a lock first: hardly ever is there anything, and a standby gives no locks.
            if (await connection.execute(upkeep_sql.tasks_with_expired_lease(1))).first() is None:
                return 0
            expired = upkeep_sql.unlocked_tasks_with_expired_lease(RESCUE_BATCH)
            rows = self._grace.over_for((await connection.execute(expired)).all())
        rescued = [task for lost in readable(rows) if (task := await self._rescue_one(lost)) is not None]
        waiting = [task for task in rescued if task.status is TaskStatus.WORKING]
        if waiting:
            await self._announcer.waiting(waiting)
        if rescued:
            await self._announcer.changed(*(task.id for task in rescued))
        return len(rescued)

    async def _rescue_one(self, task: Task) -> Task | None:
        async with self._database.transaction() as connection:
            row = (await connection.execute(await _rescue(connection, task))).one_or_none()
            if row is None:
                return None
            body = {"attempt": task.attempt, "worker": task.lease_worker}
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            lost = event(task.id, now, EventKind.LOST, body)
            await connection.execute(requests_sql.insert_events(), [lost])
        rescued = task_from_row(row)
        fate = "waits for another" if rescued.status is TaskStatus.WORKING else f"is {rescued.status}"
        if rescued.status is TaskStatus.FAILED:
            fate = "is a dead letter; see `tasks-server dead-letters`"
        log.warning("task %s: worker %s was lost; the task %s", task.id, task.lease_worker, fate)
        return rescued


async def _rescue(connection: AsyncConnection, task: Task) -> Update:
    if task.cancel_requested_at is not None:
        return upkeep_sql.cancel_if_lease_expired(task.id, task.attempt)
    if task.status is TaskStatus.INPUT_REQUIRED:
        return upkeep_sql.park_if_lease_expired(task.id, task.attempt)
    error = f"Worker {task.lease_worker} was lost"
    if task.crashes + 1 < task.max_crashes:
        return upkeep_sql.rescue_if_lease_expired(task.id, task.attempt, error)
    now: int = (await connection.execute(terms_sql.clock())).scalar_one()
    rows = (await connection.execute(upkeep_sql.losses(task.id, task.crashes))).all()
    bodies = [(decode_json(row.body), row.at) for row in reversed(rows)]
    losses = [Loss(body["attempt"], body["worker"], at) for body, at in bodies]
    losses.append(Loss(task.attempt, task.lease_worker, now))
    message, outcome = dead_letter(task, losses)
    return upkeep_sql.quarantine_if_lease_expired(task.id, task.attempt, outcome, message, error)
