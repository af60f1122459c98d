"""What time demands of the record, done by every worker side by side: each job is one `run_once` and a pause."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import anyio

from tasks_server.artifacts import ArtifactStore
from tasks_server.defects import Defects, keep_running
from tasks_server.lifecycle.behind_breakers import BehindBreakers
from tasks_server.lifecycle.deadlines import Deadlines
from tasks_server.lifecycle.expiry import Expiry
from tasks_server.lifecycle.upkeep import Upkeep
from tasks_server.lifecycle.window import DispatchWindow
from tasks_server.redis_client import UNAVAILABLE
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage
from tasks_server.store.roster import Roster

log = logging.getLogger(__name__)

DISPATCH_SECONDS = 1.0
RESCUE_SECONDS = 1.0
DEADLINE_SECONDS = 1.0
BREAKER_SECONDS = 1.0
EXPIRE_SECONDS = 20.0
FORGET_SECONDS = 60.0
COLLECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Chore:
    """One job of maintenance. run_once returns how much it did; doing something, it runs again at once."""

    name: str
    every_seconds: float
    run_once: Callable[[], Awaitable[int]]


class Maintenance:
    """Reconcile, rescue, keep deadlines, expire, collect."""

    def __init__(
        self,
        upkeep: Upkeep,
        deadlines: Deadlines,
        window: DispatchWindow,
        expiry: Expiry,
        behind_breakers: BehindBreakers,
        roster: Roster,
        artifacts: ArtifactStore,
        defects: Defects,
        *,
        absence_ms: int,
    ) -> None:
        self._expiry = expiry
        self._roster = roster
        self._artifacts = artifacts
        self._defects = defects
        self._absence_ms = absence_ms
        self.chores = (
            Chore("dispatch", DISPATCH_SECONDS, upkeep.dispatch),
            Chore("refill", DISPATCH_SECONDS, window.refill),
            Chore("rescue", RESCUE_SECONDS, upkeep.rescue),
            Chore("end overdue tasks", DEADLINE_SECONDS, deadlines.end_overdue_tasks),
            Chore("close overdue questions", DEADLINE_SECONDS, deadlines.close_overdue_questions),
            Chore("extend", EXPIRE_SECONDS, expiry.extend),
            Chore("attend to breakers", BREAKER_SECONDS, behind_breakers.attend),
            Chore("expire", EXPIRE_SECONDS, self.expire),
            Chore("forget", FORGET_SECONDS, self.forget),
            Chore("forget sessions", FORGET_SECONDS, expiry.forget_sessions),
            Chore("collect", COLLECT_SECONDS, artifacts.orphans.collect),
        )

    async def expire(self) -> int:
        """Rows first: a file without a row is rubbish, a row without its file would be a lie."""
        expired = await self._expiry.expire()
        await self._artifacts.remove(expired)
        return len(expired)

    async def forget(self) -> int:
        return await self._roster.forget(self._absence_ms)

    async def run(self) -> None:
        """All chores, until cancelled. An outage is reported once and waited out; a defect stops its own chore only."""
        async with anyio.create_task_group() as group:
            for chore in self.chores:
                repeat = partial(self._repeat, chore)
                group.start_soon(keep_running, repeat, f"maintenance ({chore.name})", self._defects)

    async def _repeat(self, chore: Chore) -> None:
        failing = False
        while True:
            try:
                while await chore.run_once():
                    pass
                if failing:
                    log.info("maintenance: %s goes on", chore.name)
                failing = False
            except (*DATABASE_UNAVAILABLE, *UNAVAILABLE) as error:
                if not (is_outage(error) or isinstance(error, UNAVAILABLE)):
                    raise
                if not failing:
                    log.warning("maintenance: %s has to wait: %s", chore.name, error)
                failing = True
            await anyio.sleep(chore.every_seconds)
