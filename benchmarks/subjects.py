"""Who is measured, each as processes of its own: this server on either database, the peer, and the floor."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks.connection import Connection
from benchmarks.messages import call
from benchmarks.pulse import Pulse
from tests.support.processes import ProcessStarter, Started, free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
CONCURRENCY = 50
START_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What a subject may stand on. database_url: an empty database of this subject's own."""

    directory: Path
    database_url: str
    redis_url: str
    pulse: Pulse


@dataclass(frozen=True, slots=True)
class Running:
    """A subject that serves. Its processes: those that serve, and those that work if they are others."""

    url: str
    servers: tuple[Started, ...]
    workers: tuple[Started, ...]
    started_seconds: tuple[float, float] = (0.0, 0.0)
    """From the command until it served, and until a worker was there."""
    start_worker: Callable[[], Awaitable[Started]] | None = None
    """Another one, with the same options."""

    @property
    def memory_bytes(self) -> tuple[int, int]:
        """What servers and workers hold for themselves."""
        return _memory(self.servers), _memory(self.workers)


Start = Callable[[Ground], AbstractAsyncContextManager[Running]]


def ours(workers: int = 1, processes: int = 1, tools: str = "benchmarks.tools", **settings: str) -> Start:
    return partial(_ours, workers=workers, processes=processes, tools=tools, settings=settings)


@asynccontextmanager
async def _ours(
    ground: Ground, *, workers: int, processes: int, tools: str, settings: Mapping[str, str]
) -> AsyncGenerator[Running]:
    env = {
        "TASKS_DATABASE_URL": ground.database_url,
        "TASKS_REDIS_URL": ground.redis_url,
        "TASKS_SECRET_KEY": "a key that is only good for benchmarks",
        "TASKS_ARTIFACT_DIR": str(ground.directory / "artifacts"),
        "PYTHONPATH": str(ROOT),
        **ground.pulse.env,
        **settings,
    }
    starter = ProcessStarter(ground.directory)
    try:
        migration = starter.tasks_server("migrate", env=env, cwd=ROOT)
        if await migration.ended(START_TIMEOUT_SECONDS) != 0:
            raise RuntimeError(migration.output)
        options = ("--tools", tools, "--concurrency", str(CONCURRENCY))
        began = time.monotonic()

        async def start_worker() -> Started:
            worker = starter.tasks_server("worker", *options, env=env, cwd=ROOT)
            await worker.line("worker .* offers", START_TIMEOUT_SECONDS)
            return worker

        working = await asyncio.gather(*(start_worker() for _ in range(workers)))
        worked_after = time.monotonic() - began
        several = ("--processes", str(processes)) if processes > 1 else ()
        began = time.monotonic()
        server = starter.tasks_server("serve", "--port", "0", *several, env=env, cwd=ROOT)
        url = (await server.line(r"Listening on (http://[^/\s]+)", START_TIMEOUT_SECONDS))[1]
        served_after = time.monotonic() - began
        yield Running(f"{url}/mcp", (server,), tuple(working), (served_after, worked_after), start_worker)
    finally:
        starter.destroy()


def peer(python: Path, workers: int = 1) -> Start:
    """python: the interpreter of the peer's environment. Its first worker is in the server."""
    return partial(_peer, python=python, workers=workers)


@asynccontextmanager
async def _peer(ground: Ground, *, python: Path, workers: int) -> AsyncGenerator[Running]:
    script = str(Path(__file__).with_name("peer") / "server.py")
    env = {
        "FASTMCP_DOCKET_URL": ground.redis_url,
        "FASTMCP_DOCKET_NAME": ground.directory.name,
        "FASTMCP_DOCKET_CONCURRENCY": str(CONCURRENCY),
        "FASTMCP_CHECK_FOR_UPDATES": "off",
        "PYTHONWARNINGS": "default",
        **ground.pulse.env,
    }
    starter = ProcessStarter(ground.directory)
    try:
        port = await free_port()
        server = starter.start(str(python), script, "127.0.0.1", str(port), env=env)
        another = (str(python), "-m", "fastmcp_tasks.worker_cli", "worker", script)
        more = [starter.start(*another, env=env) for _ in range(workers - 1)]
        url = f"http://127.0.0.1:{port}/mcp"
        await wait_until(partial(_takes_calls, url), START_TIMEOUT_SECONDS, describing="the peer", every=0.1)
        yield Running(url, (server,), tuple(more))
    finally:
        starter.destroy()


def floor() -> Start:
    """A bare route that does the same SQL with the same driver, on a database that ours has migrated."""
    return _floor


@asynccontextmanager
async def _floor(ground: Ground) -> AsyncGenerator[Running]:
    env = {"TASKS_DATABASE_URL": ground.database_url, "PYTHONPATH": str(ROOT)}
    starter = ProcessStarter(ground.directory)
    try:
        migration = starter.tasks_server("migrate", env=env, cwd=ROOT)
        if await migration.ended(START_TIMEOUT_SECONDS) != 0:
            raise RuntimeError(migration.output)
        server = starter.start(sys.executable, "-m", "benchmarks.floor", env=env, cwd=ROOT)
        url = (await server.line(r"Listening on (http://[^/\s]+)", START_TIMEOUT_SECONDS))[1]
        yield Running(f"{url}/mcp", (server,), ())
    finally:
        starter.destroy()


async def _takes_calls(url: str) -> bool:
    connection = Connection(url)
    try:
        await connection.result(call("nothing", {"number": 0}))
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _memory(processes: tuple[Started, ...]) -> int:
    total = 0
    for started in processes:
        process = psutil.Process(started.pid)
        total += sum(each.memory_full_info().uss for each in (process, *process.children(recursive=True)))
    return total


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
