"""No work is picked while the database is away: other workers may have one, and could not get at it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import anyio

from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage
from workers.queues import Queues

log = logging.getLogger(__name__)

PROBE_PAUSE_SECONDS = 0.5
PROBE_SECONDS = 5.0


class DatabaseWatch:
    """Pauses picking when somebody has lost the database, and resumes it once `probe` can write again."""

    def __init__(self, queues: Queues, probe: Callable[[], Awaitable[None]]) -> None:
        self._queues = queues
        self._probe = probe
        self._away = asyncio.Event()

    def lost(self, error: BaseException) -> None:
        """A statement has failed because the database is away, locked or read-only."""
        if not self._away.is_set():
            reason = str(error).partition("\n")[0] or type(error).__name__
            log.warning("The database is away, no work is picked until it is back: %s", reason)
            self._away.set()
            self._queues.pause_picking()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._away.wait()
            while not await self._is_back():  # noqa: ASYNC110 - it is the database that is asked
                await anyio.sleep(PROBE_PAUSE_SECONDS)
            self._away.clear()
            self._queues.resume_picking()
            log.info("The database is back, work is picked again")

    async def _is_back(self) -> bool:
        try:
            with anyio.fail_after(PROBE_SECONDS):
                await self._probe()
        except DATABASE_UNAVAILABLE as error:
            if not is_outage(error):
                raise
            return False
        return True
