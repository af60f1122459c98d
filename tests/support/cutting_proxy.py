"""A road to PostgreSQL that can be cut at the worst moment: a commit has gone out, its answer has not come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tests.support.forwarding import forwarding
from tests.support.postgresql_messages import READY_AND_IDLE, Listener


class CuttingProxy:
    """What becomes of the connections that lead through it.

    cuts: how many it has cut. closed: it forwards none. swallows: it leaves all of them open, also new ones, and
    nothing that is sent arrives any more.
    """

    def __init__(self) -> None:
        self._is_meant: Callable[[bytes, list[bytes]], bool] | None = None
        self._closes = False
        self.forwards = True
        self.closed = False
        self.swallows = False
        self.cuts = 0

    def cut_at(self, text: bytes, *, forwards: bool = True) -> None:
        """Cut the next connection that sends this text.

        forwards: it reaches the server, and the cut waits until the server is done with it.
        """
        self._is_meant = lambda chunk, _: text in chunk
        self.forwards, self._closes = forwards, False

    def cut_at_commit(self, *texts: str, forwards: bool = True, closes: bool = False) -> None:
        """Cut the next connection that commits a statement in which, or in whose parameters, all these texts are.

        forwards: as above. closes: no connection gets through any more after that.
        """

        def is_meant(_: bytes, committed: list[bytes]) -> bool:
            return any(all(text.encode() in statement for text in texts) for statement in committed)

        self._is_meant = is_meant
        self.forwards, self._closes = forwards, closes

    def is_to_be_cut(self, chunk: bytes, committed: list[bytes]) -> bool:
        """Whether this chunk, which commits these statements, is what the cut was meant for."""
        if self._is_meant is None or not self._is_meant(chunk, committed):
            return False
        self._is_meant = None
        self.cuts += 1
        self.closed = self._closes
        return True


class _Connection:
    def __init__(self, proxy: CuttingProxy) -> None:
        self._proxy = proxy
        self._listener = Listener()
        self._cutting = False
        self._done = asyncio.Event()

    async def forth(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self._proxy.closed:
                return
            if self._proxy.swallows:
                continue
            self._cutting = self._proxy.is_to_be_cut(chunk, self._listener.committed(chunk))
            if self._cutting and not self._proxy.forwards:
                return
            yield chunk
            if self._cutting:
                await self._done.wait()
                return

    async def back(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self._proxy.swallows:
                continue
            if not self._cutting:
                yield chunk
            elif chunk.endswith(READY_AND_IDLE):
                self._done.set()
                return


@asynccontextmanager
async def cutting_proxy(database_url: str) -> AsyncGenerator[tuple[CuttingProxy, str]]:
    """A proxy before the PostgreSQL of this URL, on loopback, and the URL that leads through it."""
    address, _, directory = database_url.partition("?host=")
    proxy = CuttingProxy()
    async with forwarding(Path(directory) / ".s.PGSQL.5432", partial(_Connection, proxy)) as port:
        yield proxy, address.replace("@/", f"@127.0.0.1:{port}/") + "?ssl=disable"
