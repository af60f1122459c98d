"""Holding on to what runs here, and letting go of what does not any more."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence

import anyio

from tasks_server.bus import Bus
from tasks_server.defects import Defects
from tasks_server.lifecycle.claims import Claims, Standing
from tasks_server.signals import TaskNudged
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage
from workers.runner import Runner
from workers.session import Session, Stop

log = logging.getLogger(__name__)

# A lease that somebody's lock has kept from being renewed is tried again this soon. Rescuers wait longer than that.
LOCKED_PAUSE_SECONDS = 0.5


class Leases:
    """Renews every lease of this worker in one statement, and acts on what callers have done to its tasks.

    say_alive renews the worker itself; database_lost hears of renewals that fail.
    """

    def __init__(
        self,
        claims: Claims,
        runner: Runner,
        bus: Bus,
        say_alive: Callable[[], Awaitable[None]],
        database_lost: Callable[[BaseException], object],
        defects: Defects,
        *,
        lease_seconds: float,
    ) -> None:
        self._claims = claims
        self._runner = runner
        self._bus = bus
        self._say_alive = say_alive
        self._database_lost = database_lost
        self._defects = defects
        self._lease_seconds = lease_seconds

    async def keep(self) -> None:
        """Renew every third of a lease until cancelled, and sooner while somebody else has locked one of the tasks.

        A worker cut off for a whole lease stops its work. A renewal that hangs counts as one that fails: by then
        others may have taken the tasks.
        """
        third = self._lease_seconds / 3
        renewed_at = time.monotonic()
        pause = third
        while True:
            await anyio.sleep(pause)
            pause = third
            began_at = time.monotonic()
            running = dict(self._runner.sessions)
            allowed = max(renewed_at + self._lease_seconds - began_at, third)
            try:
                with anyio.fail_after(allowed):
                    standings = await self._claims.renew(list(running)) if running else ()
                    renewed_at = began_at
                    await self._act_on(standings, running)
                    await self._say_alive()
                if not all(standing.renewed for standing in standings):
                    pause = min(third, LOCKED_PAUSE_SECONDS)
            except Exception as error:
                if time.monotonic() - began_at > allowed + third / 2:
                    pause = 0  # this process stood still: that says nothing about the database
                    continue
                self._say_failed(error)
                if time.monotonic() - renewed_at >= self._lease_seconds:
                    for session in running.values():
                        session.stop(Stop.LOST)

    def _say_failed(self, error: Exception) -> None:
        if is_outage(error):
            log.warning("leases cannot be renewed: %s", str(error) or type(error).__name__)
            self._database_lost(error)
        else:
            self._defects.met("renewing leases", error)

    async def _act_on(self, standings: Sequence[Standing], running: dict[str, Session]) -> None:
        leases = {lease.held: lease for lease in standings}
        for session in running.values():
            lease = leases.get(session.held)
            if lease is not None and lease.cancel_requested:
                session.stop(Stop.CANCELLED)
            elif lease is not None:
                await session.look_again()
            elif session.task.id in self._runner.sessions:
                session.stop(Stop.LOST)

    async def act_on_nudges(self) -> None:
        """Look at a task as soon as a caller has answered or cancelled it, until cancelled."""
        async with self._bus.subscribe(TaskNudged) as signals:
            async for news in signals:
                task_ids = [news.task_id] if isinstance(news, TaskNudged) else list(self._runner.sessions)
                for task_id in task_ids:
                    try:
                        await self._runner.look_at(task_id)
                    except DATABASE_UNAVAILABLE as error:
                        if not is_outage(error):
                            raise
                        log.warning("task %s: cannot look at it now: %s", task_id, error)
