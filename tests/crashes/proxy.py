"""A proxy in front of Redis that cuts connections in the middle of what a client sends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tests.support.forwarding import forwarding


class RationingProxy:
    """Passes everything on until a connection's client has sent its ration of bytes; then cuts that connection."""

    def __init__(self, listen_at: Path, target: Path) -> None:
        self.socket = listen_at
        self.cuts = 0
        self.rations = 0
        self.each: int | None = None
        self._target = target

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def ration(self, amount: int | None) -> None:
        """Let every connection, also one that is open already, send so many bytes more; None is no limit."""
        self.rations += 1
        self.each = amount

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with forwarding(self._target, partial(_Connection, self), listen_at=self.socket):
            yield


class _Connection:
    def __init__(self, proxy: RationingProxy) -> None:
        self._proxy = proxy
        self._given = 0
        self._left: int | None = None

    async def forth(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self._given != self._proxy.rations:
                self._given, self._left = self._proxy.rations, self._proxy.each
            if self._left is None:
                yield chunk
                continue
            yield chunk[: self._left]
            if len(chunk) >= self._left:
                self._proxy.cuts += 1
                return
            self._left -= len(chunk)

    async def back(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk
