"""Stands between clients and a server, chunk by chunk, so that a test can meddle with what passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 65536

Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Passage(Protocol):
    """One connection: what goes on of what is sent, each way. It is cut as soon as either comes to its end."""

    def forth(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]: ...

    def back(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]: ...


@asynccontextmanager
async def forwarding(
    target: Path | Dial, passage: Callable[[], Passage], *, listen_at: Path | None = None
) -> AsyncGenerator[int]:
    """Forwards to a unix socket or wherever `target` dials, from another socket or from loopback.

    Yields the port there, else 0.
    """
    dial: Dial = partial(asyncio.open_unix_connection, target) if isinstance(target, Path) else target
    open_connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await _connect(reader, writer, dial, passage())
        open_connections.discard(task)

    port = 0
    if listen_at is None:
        server = await asyncio.start_server(accept, "127.0.0.1", port)
        port = server.sockets[0].getsockname()[1]
    else:
        server = await asyncio.start_unix_server(accept, listen_at)
    try:
        yield port
    finally:
        server.close()
        for task in open_connections:
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)


async def _connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dial: Dial, passage: Passage
) -> None:
    with closing(writer):
        theirs, ours = await dial()
        with closing(ours):
            forth = asyncio.create_task(_pump(passage.forth(_chunks(reader)), ours))
            back = asyncio.create_task(_pump(passage.back(_chunks(theirs)), writer))
            try:
                await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (forth, back):
                    task.cancel()
                await asyncio.gather(forth, back, return_exceptions=True)


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await reader.read(CHUNK_BYTES):
        yield chunk


async def _pump(chunks: AsyncIterator[bytes], writer: asyncio.StreamWriter) -> None:
    async for chunk in chunks:
        writer.write(chunk)
        await writer.drain()
