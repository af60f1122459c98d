"""A road to PostgreSQL that can be cut at the worst moment: a commit has gone out, its answer has not come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

# The simple query as asyncpg sends it: message type, length, text, NUL.
COMMIT = b"COMMIT;\0"


class CuttingProxy:
    """Forwards connections to a PostgreSQL on a unix socket.

    cuts: how many it has cut. closed: it forwards none. swallows: it leaves all of them open, also new ones, and
    nothing that is sent arrives any more.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._text: bytes | None = None
        self._forwards = True
        self._closes = False
        self.closed = False
        self.swallows = False
        self.cuts = 0

    def cut_at(self, text: bytes, *, forwards: bool = True, closes: bool = False) -> None:
        """Cut the next connection that sends this text.

        forwards: the text reaches the server, and the cut waits until the server has answered it. closes: no
        connection gets through any more after that.
        """
        self._text, self._forwards, self._closes = text, forwards, closes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(str(self._socket))
        answered = asyncio.Event()
        cutting = asyncio.Event()
        with closing(writer), closing(ours):
            back = asyncio.create_task(self._answer(theirs, writer, cutting, answered))
            forth = asyncio.create_task(self._ask(reader, ours, cutting, answered))
            await asyncio.wait({back, forth}, return_when=asyncio.FIRST_COMPLETED)
            for task in (back, forth):
                task.cancel()
            await asyncio.gather(back, forth, return_exceptions=True)

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        ours: asyncio.StreamWriter,
        cutting: asyncio.Event,
        answered: asyncio.Event,
    ) -> None:
        while (data := await reader.read(65536)) and not self.closed:
            if self.swallows:
                continue
            if self._text is not None and self._text in data:
                self._text = None
                self.cuts += 1
                self.closed = self._closes
                cutting.set()
                if not self._forwards:
                    return
            ours.write(data)
            await ours.drain()
            if cutting.is_set():
                await answered.wait()
                return

    async def _answer(
        self,
        theirs: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cutting: asyncio.Event,
        answered: asyncio.Event,
    ) -> None:
        while data := await theirs.read(65536):
            if self.swallows:
                continue
            if cutting.is_set():
                answered.set()
                return
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def cutting_proxy(database_url: str) -> AsyncGenerator[tuple[CuttingProxy, str]]:
    """A proxy before the PostgreSQL of this URL, on loopback, and the URL that leads through it."""
    address, _, directory = database_url.partition("?host=")
    proxy = CuttingProxy(Path(directory) / ".s.PGSQL.5432")
    open_connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await proxy.serve(reader, writer)
        open_connections.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    try:
        yield proxy, address.replace("@/", f"@127.0.0.1:{port}/") + "?ssl=disable"
    finally:
        server.close()
        for task in open_connections:
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)
