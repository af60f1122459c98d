"""A deployment to break: one database, one Redis, servers and workers as processes, and those who look on.

The client sees what clients see, the record what lies in the database, the diaries what tools did outside.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest

from tasks_server.store.outage import through_outages
from tests.crashes.client import Client
from tests.crashes.forked import ForkServer
from tests.store.record import Record
from tests.support.processes import Started
from tests.support.waiting import wait_until

T = TypeVar("T")

# For faults that only one of them has, or that no database hears of.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

TOOL = """\
from workers import TaskContext, tool
from tests.crashes import doomed

@tool(name={name!r}, max_crashes=100)
async def work(ctx: TaskContext, diary: str, gate: str) -> str:
    '''Does what {function} does.'''
    return await doomed.{function}(ctx, diary, gate)
"""
TOOL_IN_PROCESS = """\
from workers import tool
from tests.crashes import doomed

@tool(name={name!r}, max_crashes=100, runs_in="process")
def work(diary: str, gate: str) -> str:
    '''Does what {function} does.'''
    return doomed.{function}(diary, gate)
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A task that was submitted, and where its tool writes and waits."""

    task_id: str
    diary_file: Path
    gate: Path

    @property
    def diary(self) -> list[str]:
        return self.diary_file.read_text().splitlines() if self.diary_file.exists() else []

    async def began(self) -> None:
        """Wait until the tool has written something."""
        await wait_until(lambda: self.diary, 20, describing=f"the tool of {self.task_id} has begun")

    async def has_written(self, line: str) -> None:
        await wait_until(lambda: line in self.diary, 20, describing=f"{line!r} in the diary")


@dataclass(frozen=True, slots=True)
class Story:
    """What the record says of a task that has ended. Attempts that were handed back before they began are left out."""

    status: str
    attempt: int
    crashes: int
    events: list[str]
    diary: list[str]


class House:
    """Starts processes over one record, and knows everything about them."""

    def __init__(
        self, directory: Path, record: Record, redis_url: str, forks: ForkServer, http: httpx2.AsyncClient
    ) -> None:
        self.directory = directory
        self.record = record
        self.redis_url = redis_url
        self._forks = forks
        self.http = http
        self._started: list[Started] = []
        self._numbers = itertools.count(1)

    async def serve(self, *, dies_at: str | None = None, **settings: str) -> tuple[Started, Client]:
        """A server, and a client of it."""
        server = self._start(["serve", "--port", "0"], settings, dies_at, 0.0)
        url = (await server.line(r"Listening on (http://\S+)"))[1]
        return server, Client(self.http, url)

    async def work(
        self,
        *tools: Path,
        concurrency: int = 10,
        dies_at: str | None = None,
        clock_ahead_seconds: float = 0.0,
        **settings: str,
    ) -> Started:
        """A worker that offers the tools of these files."""
        named = [word for tool in tools for word in ("--tools", str(tool))]
        command = ["worker", *named, "--concurrency", str(concurrency)]
        worker = self._start(command, settings, dies_at, clock_ahead_seconds)
        await worker.line(r"worker \S+ offers")
        return worker

    def tool(self, name: str, function: str, *, in_process: bool = False) -> Path:
        """A file with one tool, which has a queue of its own. function: one of `doomed`."""
        directory = self.directory / "tools"
        directory.mkdir(exist_ok=True)
        path = directory / f"{name}.py"
        path.write_text((TOOL_IN_PROCESS if in_process else TOOL).format(name=name, function=function))
        return path

    async def submit(self, client: Client, tool: str) -> Job:
        """Call one of the tools that `tool` made."""
        diary, gate = self.paths(tool)
        task_id = await client.submit(tool, diary=str(diary), gate=str(gate))
        return Job(task_id, diary, gate)

    def paths(self, tool: str) -> tuple[Path, Path]:
        """A diary and a gate for one task."""
        number = next(self._numbers)
        return self.directory / f"diary-{tool}-{number}", self.directory / f"gate-{tool}-{number}"

    async def story(self, job: Job) -> Story:
        row = await self.looked(partial(self.record.row, job.task_id))
        log = await self.looked(partial(self.record.events, job.task_id))
        unused = {body["attempt"] for kind, body in log if kind == "released" and body["why"] == "no slot"}
        events = [
            kind
            for kind, body in log
            if kind not in {"progress", "log"} and body.get("attempt") not in unused
        ]
        assert row["retries_used"] == 0, "the death of a worker is no failure of the tool"
        return Story(row["status"], row["attempt"] - len(unused), row["crashes"], events, job.diary)

    async def looked(self, look: Callable[[], Awaitable[T]]) -> T:
        """What a look into the record sees, also when the test has broken the connection it goes through."""
        return await through_outages(look, "the test")

    async def parked(self, job: Job) -> bool:
        """Wait until the task asks and nobody holds it."""

        async def is_parked() -> bool:
            row = await self.record.row(job.task_id)
            return row["status"] == "input_required" and row["lease_worker"] is None

        return await wait_until(is_parked, 20, describing=f"{job.task_id} is parked", every=0.05)

    def destroy(self) -> None:
        """End everything. Complains about processes that had outlived the one that started them."""
        orphans = [child for started in reversed(self._started) for child in started.destroy()]
        assert not orphans, f"left behind by processes that died: {orphans}"

    def _start(
        self, command: list[str], settings: dict[str, str], dies_at: str | None, clock_ahead_seconds: float
    ) -> Started:
        output = self.directory / f"output-{next(self._numbers)}-{command[0]}.log"
        environment = self._environment() | {f"TASKS_{name.upper()}": text for name, text in settings.items()}
        started = self._forks.start(
            command,
            environment,
            self.directory,
            output,
            dies_at=dies_at,
            clock_ahead_seconds=clock_ahead_seconds,
        )
        self._started.append(started)
        return started

    def _environment(self) -> dict[str, str]:
        return {
            "TASKS_DATABASE_URL": self.record.database_url,
            "TASKS_REDIS_URL": self.redis_url,
            "TASKS_SECRET_KEY": "a key that all replicas of this test share",
            "TASKS_ARTIFACT_DIR": str(self.directory / "artifacts"),
            "TASKS_SHUTDOWN_GRACE_SECONDS": "0",
            "TASKS_PARK_AFTER_SECONDS": "0.1",
        }


def completed_as(*diary: str, attempt: int, crashes: int, events: list[str]) -> Story:
    """The story of a task that came to its good end."""
    return Story("completed", attempt, crashes, events, list(diary))
