"""Clients of the deployment that all tests of the protocol share, by the handshake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.protocol.spec.stack import Stack
from tests.protocol.spec25.session import EVERYTHING, Session
from tests.protocol.spec25.stream import VERSION

Connect = Callable[..., Awaitable[Session]]


@pytest.fixture
def stack(sqlite_stack: Stack) -> Stack:
    """The running deployment. What a database is asked for these revisions is tested beside the store."""
    return sqlite_stack


@pytest.fixture
async def connect(stack: Stack, http: httpx2.AsyncClient) -> AsyncIterator[Connect]:
    """Opens sessions with a server; ends them after the test."""
    opened: list[Session] = []

    async def connect(
        capabilities: dict[str, Any] | None = None, version: str = VERSION, url: str | None = None
    ) -> Session:
        offered = EVERYTHING if capabilities is None else capabilities
        session = await Session(http=http, url=url or stack.url, capabilities=offered, version=version).open()
        opened.append(session)
        return session

    yield connect
    for session in opened:
        await session.terminate()


@pytest.fixture
async def session(connect: Connect) -> Session:
    """A client that can be asked anything."""
    return await connect()
