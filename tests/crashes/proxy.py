"""A proxy in front of Redis that cuts connections in the middle of what a client sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

CHUNK_BYTES = 65536


class CuttingProxy:
    """Passes everything on until a connection's client has sent its ration of bytes; then cuts that connection.

    ration: for the connections that are open, from now on, and for new ones; None is no limit.
    """

    def __init__(self, listen_at: Path, target: Path) -> None:
        self.socket = listen_at
        self.cuts = 0
        self._target = target
        self._ration: int | None = None
        self._left: dict[asyncio.StreamWriter, int | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def ration(self, amount: int | None) -> None:
        """Let every connection send so many bytes more."""
        self._ration = amount
        for client in self._left:
            self._left[client] = amount

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        server = await asyncio.start_unix_server(self._accept, self.socket)
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._left[writer] = self._ration
        with suppress(OSError, asyncio.CancelledError):
            to_server: asyncio.StreamWriter
            from_server, to_server = await asyncio.open_unix_connection(self._target)
            back = asyncio.create_task(_pump(from_server, writer))
            try:
                await self._forward(reader, to_server, writer)
            finally:
                back.cancel()
                to_server.transport.abort()
        del self._left[writer]
        writer.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            left = self._left[client]
            to_server.write(data if left is None else data[:left])
            await to_server.drain()
            if left is not None:
                if len(data) >= left:
                    self.cuts += 1
                    return
                self._left[client] = left - len(data)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
