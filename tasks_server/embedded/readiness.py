"""Telling a person that everything really works: not before the server answers and a worker is there."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket

from tasks_server.manifest import Manifest
from tasks_server.settings import Settings
from tasks_server.store.database import Database
from tasks_server.store.roster import Roster

LOOK_EVERY_SECONDS = 0.1
# How far back a worker of an earlier run may have shown a sign of life.
EARLIER_WORKERS_MS = 24 * 60 * 60 * 1000


class NewWorker:
    """The first worker that writes itself into the record after `remember_earlier`."""

    def __init__(self, database_url: str) -> None:
        self._database = Database(database_url)
        self._roster = Roster(self._database)
        self._earlier: frozenset[str] = frozenset()

    async def remember_earlier(self) -> None:
        self._earlier = frozenset(
            worker.worker_id for worker in await self._roster.present(EARLIER_WORKERS_MS)
        )

    async def forget_earlier(self) -> None:
        """Take the earlier workers out of the record. One that lives after all writes itself in again."""
        await self._roster.remove(self._earlier)

    async def manifest(self) -> Manifest:
        """Wait for the worker; what it offers."""
        while True:
            for worker in await self._roster.present(EARLIER_WORKERS_MS):
                if worker.worker_id not in self._earlier:
                    return (await self._roster.manifests([worker.manifest_digest]))[worker.manifest_digest]
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def close(self) -> None:
        await self._database.close()


async def until_answering(listener: socket) -> None:
    """Wait until `/readyz` says that the server can do its work, and knows a worker."""
    address: tuple[str, int] = listener.getsockname()[:2]
    while not await _is_ready(*address):  # noqa: ASYNC110 - it is the outside that is asked
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _is_ready(host: str, port: int) -> bool:
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            return b" 200 " in answer.partition(b"\r\n")[0] and b'"workers":true' in answer
        finally:
            writer.close()
    return False


def banner(
    url: str, tools: Sequence[str], settings: Settings, data_directory: Path, *, is_first: bool = True
) -> str:
    """What a person who has just started this wants to know. is_first: nobody else uses the data directory."""
    roots = ", ".join(map(str, settings.file_roots))
    files = f"tools may read (never write) {roots}" if roots else "tools read no files"
    decided = "TASKS_FILE_ROOTS changes that" if is_first else "as who runs here already"
    directory = shlex.quote(str(data_directory))
    lines = [
        "tasks-server is ready.",
        "",
        f"  MCP URL  {url}/mcp",
        f"  Tools    {', '.join(tools) or 'none'}",
        f"  Files    {files}; {decided}",
        f"  Data     {data_directory}",
        f"  Workers  tasks-server worker --data-dir {directory} --tools MODULE adds one",
        "",
        "Ctrl-C ends it; what was submitted is still there next time.",
        "",
    ]
    return "\n".join(lines)
