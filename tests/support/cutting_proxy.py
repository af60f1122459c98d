"""A road to PostgreSQL that can be cut at the worst moment: a commit has gone out, its answer has not come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
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
        self._texts: tuple[bytes, ...] = ()
        self._closes = False
        self.forwards_commit = True
        self.closed = False
        self.swallows = False
        self.cuts = 0

    def cut_at_commit(self, *texts: str, forwards: bool = True, closes: bool = False) -> None:
        """Cut the next connection that commits a statement in which, or in whose parameters, all these texts are.

        forwards: the commit reaches the server, and the cut waits until the server has made it. closes: no
        connection gets through any more after that.
        """
        self._texts = tuple(text.encode() for text in texts)
        self.forwards_commit, self._closes = forwards, closes

    def is_to_be_cut(self, statements: list[bytes]) -> bool:
        if not self._texts or not any(all(text in each for text in self._texts) for each in statements):
            return False
        self._texts = ()
        self.cuts += 1
        self.closed = self._closes
        return True


class _Connection:
    def __init__(self, proxy: CuttingProxy) -> None:
        self._proxy = proxy
        self._listener = Listener()
        self._cutting = False
        self._committed = asyncio.Event()

    async def forth(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self._proxy.closed:
                return
            if self._proxy.swallows:
                continue
            self._cutting = self._proxy.is_to_be_cut(self._listener.committed(chunk))
            if self._cutting and not self._proxy.forwards_commit:
                return
            yield chunk
            if self._cutting:
                await self._committed.wait()
                return

    async def back(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self._proxy.swallows:
                continue
            if not self._cutting:
                yield chunk
            elif chunk.endswith(READY_AND_IDLE):
                self._committed.set()
                return


@asynccontextmanager
async def cutting_proxy(database_url: str) -> AsyncGenerator[tuple[CuttingProxy, str]]:
    """A proxy before the PostgreSQL of this URL, on loopback, and the URL that leads through it."""
    address, _, directory = database_url.partition("?host=")
    proxy = CuttingProxy()
    async with forwarding(Path(directory) / ".s.PGSQL.5432", partial(_Connection, proxy)) as port:
        yield proxy, address.replace("@/", f"@127.0.0.1:{port}/") + "?ssl=disable"
