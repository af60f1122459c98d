"""One address in front of several servers: each connection goes to the next of them that is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.support.forwarding import forwarding


class Front:
    """servers: the URLs to choose from, which may change at any time."""

    def __init__(self, *servers: str) -> None:
        self.servers = list(servers)
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Front]:
        async with forwarding(self._dial, _Through) as port:
            self.url = f"http://127.0.0.1:{port}/mcp"
            yield self

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(len(self.servers)):
            self.servers.append(self.servers.pop(0))
            address = urlsplit(self.servers[-1])
            try:
                return await asyncio.open_connection(address.hostname, address.port)
            except ConnectionError:
                continue
        raise ConnectionError("no server is there")


class _Through:
    async def forth(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk

    back = forth
