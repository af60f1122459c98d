"""What programs that are no tests of ours talk to: `tasks-server dev`, or several servers over one record."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.processes import ProcessStarter, Started
from tests.support.servers import PostgresServer, ValkeyServer

ROOT = Path(__file__).resolve().parents[2]
LOG_TAIL_CHARACTERS = 4000
START_TIMEOUT_SECONDS = 90.0
NO_GRACE = {"TASKS_SHUTDOWN_GRACE_SECONDS": "0"}


@contextmanager
def serving(
    tools: str, directory: Path, *, replicas: int = 1, env: Mapping[str, str] | None = None
) -> Generator[str]:
    """Serve the tools of a module. Yields the URL; in the end nothing runs that was started here.

    With more than one replica the URL is that of a load balancer that never sticks, before servers that share a
    PostgreSQL, a Redis and one worker. What the processes write goes into `directory`.
    """
    with ExitStack() as stack:
        starter = ProcessStarter(directory)
        stack.callback(starter.destroy)
        if replicas == 1:
            started, url = asyncio.run(_dev(starter, tools, NO_GRACE | dict(env or {})))
        else:
            deployment = NO_GRACE | _deployment(stack, directory) | dict(env or {})
            started, url = asyncio.run(_replicas(starter, tools, deployment, replicas))
        yield url
        _end(started)


def logs(directory: Path) -> str:
    """The end of what each process has said, which tells why a client got an error."""
    return "\n".join(
        f"--- {log.name} ---\n{log.read_text(errors='replace')[-LOG_TAIL_CHARACTERS:]}"
        for log in sorted(directory.glob("output-*.log"))
    )


async def _dev(starter: ProcessStarter, tools: str, env: Mapping[str, str]) -> tuple[list[Started], str]:
    options = ("--port", "0", "--tools", tools, "--data-dir", str(starter.directory / "data"))
    server = starter.tasks_server("dev", *options, env=env, cwd=ROOT)
    return [server], (await server.line(r"http://\S+/mcp\b", START_TIMEOUT_SECONDS))[0]


def _deployment(stack: ExitStack, directory: Path) -> dict[str, str]:
    postgresql, valkey = PostgresServer(), ValkeyServer()
    for server in (postgresql, valkey):
        stack.callback(server.remove)
        server.start()
    return {
        "TASKS_DATABASE_URL": postgresql.url("postgres"),
        "TASKS_REDIS_URL": valkey.url,
        "TASKS_SECRET_KEY": "a key that all replicas here share",
        "TASKS_ARTIFACT_DIR": str(directory / "artifacts"),
    }


async def _replicas(
    starter: ProcessStarter, tools: str, env: Mapping[str, str], count: int
) -> tuple[list[Started], str]:
    if await starter.tasks_server("migrate", env=env, cwd=ROOT).ended(START_TIMEOUT_SECONDS) != 0:
        raise RuntimeError("The database could not be migrated.")
    worker = starter.tasks_server("worker", "--tools", tools, env=env, cwd=ROOT)
    servers = [starter.tasks_server("serve", "--port", "0", env=env, cwd=ROOT) for _ in range(count)]
    ready = r"Listening on (http://[^/\s]+)"
    urls = [(await server.line(ready, START_TIMEOUT_SECONDS))[1] for server in servers]
    await worker.line(r"worker \S+ offers", START_TIMEOUT_SECONDS)
    balancer = starter.start(sys.executable, "-m", "tests.support.round_robin", *urls, cwd=ROOT)
    url = (await balancer.line(r"http://[\d.]+:\d+"))[0]
    return [*servers, worker], f"{url}/mcp"


def _end(started: list[Started]) -> None:
    for process in started:
        code = asyncio.run(process.stop())
        outlived = process.destroy()
        if code != 0 or outlived:
            raise RuntimeError(f"{process.pid} ended with exit code {code} and left behind: {outlived}")
