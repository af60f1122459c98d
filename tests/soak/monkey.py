"""Breaks one part after the other at random moments, and notes when it did what (`faults.log` of a kept run)."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from tests.soak.faults import KINDS, Breaker, Kind
from tests.soak.fleet import Fleet

AT_ONCE = 2
PAUSE_SECONDS = (0.3, 2.5)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it happened. at: Unix time in seconds."""

    kind: str
    at: float


class Monkey:
    """At most `AT_ONCE` faults are under way together, never two of the same part."""

    def __init__(self, fleet: Fleet, choice: random.Random) -> None:
        self._fleet = fleet
        self._choice = choice
        self._breaker = Breaker(fleet, choice)
        self.kinds = [kind for kind in KINDS if fleet.postgres is not None or not kind.only_postgresql]
        self.faults: list[Fault] = []

    async def run(self, stopping: asyncio.Event) -> None:
        """Fault after fault until `stopping`; those under way are brought to their end."""
        free = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while not stopping.is_set():
                await free.acquire()
                (kind,) = self._choice.choices(self.kinds, [kind.weight for kind in self.kinds])
                group.create_task(self._break(kind, free))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), self._choice.uniform(*PAUSE_SECONDS))

    async def _break(self, kind: Kind, free: asyncio.Semaphore) -> None:
        try:
            async with self._breaker.part(kind.part) as part:
                self.faults.append(Fault(kind.name, time.time()))
                with (self._fleet.directory / "faults.log").open("a") as log:
                    log.write(f"{datetime.now():%H:%M:%S} {kind.name} {part.name if part else ''}\n")
                await kind.action(self._breaker, part)
        finally:
            free.release()
