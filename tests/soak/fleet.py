"""Two servers and three workers with everything below them, each of which can be broken and mended."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from tests.soak import audit
from tests.soak.ledger import LEDGER_VARIABLE
from tests.support.processes import ProcessStarter, Started, free_port
from tests.support.servers import PostgresServer, ValkeyServer

ROOT = Path(__file__).parents[2]
RUN_VARIABLE = "SOAK_RUN"
SERVERS = 2
WORKERS = 3
START_ANEW_SECONDS = 0.5
START_TIMEOUT_SECONDS = 60.0
T = TypeVar("T")


class Member:
    """One server or worker: the process that fills this place now, and those that did before.

    lock: held by whoever breaks it. deaths: the output of processes that ended although nobody had told them to.
    """

    def __init__(self, name: str, spawn: Callable[[], Started], ready: str) -> None:
        self.name = name
        self.lock = asyncio.Lock()
        self.deaths: list[str] = []
        self.exit_codes: list[int] = []
        self._spawn = spawn
        self._ready = ready
        self._process: Started | None = None
        self.outputs: list[Path] = []

    @property
    def process(self) -> Started:
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        """Start a process in this place and wait until it serves; again and again while it cannot."""
        while True:
            self._process = self._spawn()
            self.outputs.append(self._process.output_file)
            try:
                await self._process.line(self._ready, START_TIMEOUT_SECONDS)
            except AssertionError:  # a database that is away when it starts: its supervisor tries again
                if self._process.exit_code is None:
                    raise
                await asyncio.sleep(START_ANEW_SECONDS)
                continue
            return

    async def end(self, number: signal.Signals) -> None:
        """Signal the process and wait for its end."""
        code = await self.process.stop(number, timeout_seconds=40)
        if number is not signal.SIGKILL:
            self.exit_codes.append(code)

    async def revive(self) -> None:
        """Start it again if it has died by itself, and remember that it did."""
        if not self.lock.locked() and self.process.exit_code is not None:
            async with self.lock:
                output = "\n".join(self.process.output.splitlines()[-40:])
                self.deaths.append(f"{self.name} ended with {self.process.exit_code}:\n{output}")
                await self.start()


class Fleet:
    """database_url names the record; `postgres` is None on SQLite."""

    def __init__(self, directory: Path, database: str, lease_seconds: float) -> None:
        self.directory = directory
        self.ledger = directory / "ledger.jsonl"
        self.run = directory.name
        self.starter = ProcessStarter(directory)
        self.valkey = ValkeyServer()
        self.postgres = PostgresServer(survives_crashes=True) if database == "postgresql" else None
        self.database_url = f"sqlite+aiosqlite:///{directory}/tasks.db"
        self.lease_seconds = lease_seconds
        self.servers: list[Member] = []
        self.workers: list[Member] = []
        self.urls: list[str] = []
        self.valkey_lock = asyncio.Lock()
        self.database_lock = asyncio.Lock()
        # The kernel ends a server below with the thread that has started it: always the same one.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="servers")

    async def start(self) -> None:
        await self.aside(self.valkey.start)
        if self.postgres is not None:
            await self.aside(self.postgres.start)
            self.database_url = self.postgres.url("postgres")
        migration = self.starter.tasks_server("migrate", env=self._settings(), cwd=ROOT)
        assert await migration.ended(60) == 0, migration.output
        await audit.install(self.database_url)
        for number in range(SERVERS):
            port = await free_port()
            self.urls.append(f"http://127.0.0.1:{port}")
            options = ("serve", "--port", str(port))
            self.servers.append(self._member(f"server {number + 1}", "Listening on", *options))
        for number in range(WORKERS):
            options = ("worker", "--tools", "tests.soak.tools", "--concurrency", "8")
            self.workers.append(self._member(f"worker {number + 1}", "worker .* offers", *options))
        await asyncio.gather(*(member.start() for member in self.members))

    @property
    def members(self) -> list[Member]:
        return [*self.servers, *self.workers]

    async def aside(self, call: Callable[[], T]) -> T:
        """What a blocking call on the servers below returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def left_behind(self) -> list[str]:
        """The command lines of all processes of this run that live."""
        found: list[str] = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(RUN_VARIABLE) == self.run and process.status() != "zombie":
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    async def destroy(self) -> None:
        self.starter.destroy()
        await self.aside(self.valkey.remove)
        if self.postgres is not None:
            await self.aside(self.postgres.remove)
        self._thread.shutdown()

    def _member(self, name: str, ready: str, *command: str) -> Member:
        def spawn() -> Started:
            return self.starter.tasks_server(*command, env=self._settings(), cwd=ROOT)

        return Member(name, spawn, ready)

    def _settings(self) -> dict[str, str]:
        return {
            "TASKS_DATABASE_URL": self.database_url,
            "TASKS_REDIS_URL": self.valkey.url,
            "TASKS_SECRET_KEY": "a key that all replicas of this soak share",
            "TASKS_ARTIFACT_DIR": str(self.directory / "artifacts"),
            "TASKS_LEASE_SECONDS": str(self.lease_seconds),
            "TASKS_PARK_AFTER_SECONDS": "0.5",
            "TASKS_SHUTDOWN_GRACE_SECONDS": "1",
            # A tool that fails on purpose, again and again, would have to wait longer than its clients.
            "TASKS_BREAKER_FAILURES": "20",
            "TASKS_BREAKER_COOLDOWN_SECONDS": "1",
            "PYTHONPATH": str(ROOT),
            LEDGER_VARIABLE: str(self.ledger),
            RUN_VARIABLE: self.run,
        }


@asynccontextmanager
async def running(directory: Path, database: str, lease_seconds: float) -> AsyncGenerator[Fleet]:
    """A fleet that serves; at the end, whatever still runs of it is ended."""
    fleet = Fleet(directory, database, lease_seconds)
    try:
        await fleet.start()
        yield fleet
    finally:
        await fleet.destroy()


def sqlite_path(database_url: str) -> Path:
    return Path(database_url.partition("///")[2])


def pause(member: Member) -> None:
    os.kill(member.process.pid, signal.SIGSTOP)


def resume(member: Member) -> None:
    os.kill(member.process.pid, signal.SIGCONT)


def locked_sqlite(database_url: str) -> sqlite3.Connection:
    """A connection that keeps everybody from writing until it is closed."""
    connection = sqlite3.connect(sqlite_path(database_url), timeout=60, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection
