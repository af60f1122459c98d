"""Two servers and a worker as separate processes on one database and one Redis."""

from __future__ import annotations

import asyncio
import itertools
import json
from functools import partial
from pathlib import Path

import httpx2
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.protocol.spec.requests import Request
from tests.support.pipe import Pipe, start_stdio
from tests.support.processes import ProcessStarter, Started
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
TOOLS = "tests.protocol.spec.tools"
A_TOOL = "ask_twice"
MAX_REQUEST_BYTES = 1_000_000
IMPATIENT_SECONDS = 0.3

# For a test that is about many values of which no database hears anything.
ON_ONE_DATABASE = pytest.mark.parametrize("database", ["sqlite"])


class Stack:
    """`url` and `other_url` are the endpoints of the two servers; more processes can be started beside them."""

    def __init__(self, directory: Path, database_url: str, valkey: ValkeyServer) -> None:
        self.directory = directory
        self.database_url = database_url
        self._valkey = valkey
        self._starter = ProcessStarter(directory)
        self._processes: list[Started] = []
        self._names = itertools.count(1)
        self.url = self.other_url = ""
        self._impatient_url: str | None = None

    def serve(self, **settings: str) -> Started:
        """Another server of this deployment."""
        return self._start("serve", "--port", "0", **settings)

    def work(self, module: str) -> Started:
        """Another worker of this deployment."""
        return self._start("worker", "--tools", module)

    def pipe(self) -> Pipe:
        """A server of this deployment that talks over its stdin and stdout."""
        pipe = start_stdio(self._starter, env=self._environment({}))
        self._processes.append(pipe.started)
        return pipe

    async def ready(self) -> None:
        first, second, worker = self.serve(), self.serve(), self.work(TOOLS)
        self.url, self.other_url = await endpoint(first), await endpoint(second)
        await worker.line("offers")
        async with httpx2.AsyncClient() as http:
            for url in (self.url, self.other_url):
                await wait_until(partial(_lists_tools, http, url), describing=f"the tools at {url}")

    async def impatient_url(self) -> str:
        """A server whose attached calls wait hardly at all; started when it is first asked for."""
        if self._impatient_url is None:
            server = self.serve(TASKS_ATTACHED_WAIT_SECONDS=str(IMPATIENT_SECONDS))
            self._impatient_url = await endpoint(server)
        return self._impatient_url

    def new_directory(self) -> Path:
        """Where one test and the tools it calls leave each other notes."""
        directory = self.directory / f"notes-{next(self._names)}"
        directory.mkdir()
        return directory

    async def execute(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        """Look into the database, or change what no client could."""
        engine = create_async_engine(self.database_url, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                result = await connection.execute(sqlalchemy.text(statement), values)
                return [tuple(row) for row in result] if result.returns_rows else []
        finally:
            await engine.dispose()

    def destroy(self) -> None:
        """End everything; complain if a server has met something it did not expect."""
        outputs = [process.output for process in self._processes if " server: " in process.output]
        self._starter.destroy()
        self._valkey.remove()
        for output in outputs:
            assert "Traceback" not in output, output

    def _start(self, *command: str, **settings: str) -> Started:
        process = self._starter.tasks_server(*command, env=self._environment(settings))
        self._processes.append(process)
        return process

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            "TASKS_DATABASE_URL": self.database_url,
            "TASKS_REDIS_URL": self._valkey.url,
            "TASKS_SECRET_KEY": "a key that all replicas of these tests share",
            "TASKS_ARTIFACT_DIR": str(self.directory / "artifacts"),
            "TASKS_PARK_AFTER_SECONDS": "0.1",
            "TASKS_MAX_REQUEST_BYTES": str(MAX_REQUEST_BYTES),
            **settings,
        }


async def _lists_tools(http: httpx2.AsyncClient, url: str) -> bool:
    """Whether a server knows of the worker by now."""
    listing = Request.of("tools/list")
    answer = await http.post(url, content=json.dumps(listing.body), headers=listing.wire_headers)
    return A_TOOL in {tool["name"] for tool in answer.json()["result"]["tools"]}


async def endpoint(server: Started) -> str:
    return (await server.line(r"http://[\w.:\[\]]+"))[0] + "/mcp"


def start_stack(directory: Path, database_url: str) -> Stack:
    """Start one and wait until it serves its tools."""
    valkey = ValkeyServer()
    valkey.start()
    stack = Stack(directory, database_url, valkey)
    try:
        asyncio.run(stack.ready())
    except BaseException:
        stack.destroy()
        raise
    return stack
