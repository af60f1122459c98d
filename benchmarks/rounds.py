"""Every subject in turn, round after round, so that what the machine does besides hits all of them alike."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import measures
from benchmarks.load import Load
from benchmarks.pulse import Pulse
from benchmarks.services import new_database, valkey
from benchmarks.subjects import Ground, Running, Start
from tests.support.servers import PostgresServer

Key = tuple[str, str]
"""(subject, figure)"""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done in each turn."""

    rounds: int = 5
    seconds: float = 4.0
    tasks: Mapping[str, int] = field(default_factory=lambda: {"peer": 600})
    """How many tasks are carried out; others than named here `many`."""
    many: int = 4000
    samples: int = 40
    streams: int = 5000
    rows: int = 1_000_000
    hour: int = 20_000


@dataclass(frozen=True, slots=True)
class Series:
    """What the rounds have given for one figure of one subject."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def spread(self, places: int = 0) -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{places}f} ({low:,.{places}f}-{high:,.{places}f})"


class Figures:
    """Everything that was measured, and everything that went wrong."""

    def __init__(self) -> None:
        self._values: defaultdict[Key, list[float]] = defaultdict(list)
        self.wrong: list[str] = []

    def add(self, subject: str, figure: str, value: float) -> None:
        self._values[subject, figure].append(value)
        print(f"    {figure}: {value:,.1f}", flush=True)

    def add_load(self, subject: str, figure: str, load: Load) -> None:
        self.add(subject, figure, load.rate)
        if load.wrong or load.failed:
            said = f"{subject}, {figure}: {load.wrong} wrong answers, {load.failed} failed; {load.sample}"
            self.wrong.append(said)
            print(f"    {said}", flush=True)

    def series(self, subject: str, figure: str) -> Series | None:
        values = self._values.get((subject, figure))
        return Series(tuple(values)) if values else None

    def ratio(self, figure: str, of: str, to: str) -> Series | None:
        """Round by round: each value against the one that was measured right beside it."""
        ours, theirs = self._values.get((of, figure)), self._values.get((to, figure))
        if not ours or not theirs:
            return None
        return Series(tuple(one / other for one, other in zip(ours, theirs, strict=False)))


@asynccontextmanager
async def ground(database: PostgresServer | None, name: str) -> AsyncGenerator[Ground]:
    """Fresh ground for one turn: without a PostgreSQL the database is a SQLite file."""
    with TemporaryDirectory(prefix="bench-", dir="/tmp") as directory, valkey() as redis_url:
        path = Path(directory)
        url = (
            f"sqlite+aiosqlite:///{path}/tasks.db" if database is None else await new_database(database, name)
        )
        pulse = Pulse(path)
        try:
            yield Ground(path, url, redis_url, pulse)
        finally:
            pulse.close()


async def turn(subject: str, start: Start, on: Ground, effort: Effort, figures: Figures) -> None:
    """Everything that is measured of a subject that carries tasks out."""
    async with start(on) as running:
        number = effort.tasks.get(subject, effort.many)
        await measures.completed(running.url, on.pulse, number // 10)  # warm
        figures.add(subject, "at rest, server MB", running.memory_bytes[0] / 1e6)
        found = await measures.idle(running.url, on.pulse, effort.samples)
        figures.add(subject, "idle, started ms", found.started_ms)
        figures.add(subject, "idle, completed ms", found.completed_ms)
        rate, task_ids = await measures.completed(running.url, on.pulse, number)
        figures.add(subject, "completed/s", rate)
        await loads(subject, running, task_ids, effort, figures)


async def loads(
    subject: str, running: Running, task_ids: list[str], effort: Effort, figures: Figures
) -> None:
    cold = task_ids[-measures.COLD_TASKS :]
    figures.add_load(subject, "get, hot/s", await measures.get_hot(running.url, cold[0], effort.seconds))
    figures.add_load(subject, "get, cold/s", await measures.get_cold(running.url, cold, effort.seconds))
    figures.add_load(subject, "submit/s", await measures.submit(running.url, effort.seconds))


async def floor_turn(start: Start, on: Ground, effort: Effort, figures: Figures) -> None:
    """The floor has no workers: its tasks are inserted, and read as they are."""
    async with start(on) as running:
        task_ids = await measures.submit_all(running.url, measures.COLD_TASKS, "nothing")
        for figure, ids in (("get, hot/s", task_ids[:1]), ("get, cold/s", task_ids)):
            load = await measures.get_any(running.url, ids, "working", effort.seconds)
            figures.add_load("floor", figure, load)
        figures.add_load("floor", "submit/s", await measures.submit(running.url, effort.seconds))
