"""Deployments that tests break."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tests.crashes.forked import ForkServer
from tests.crashes.house import House
from tests.store.record import opened
from tests.support.redis_keys import keys_without_expiry
from tests.support.servers import ValkeyServer


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
async def house(database_url: str, redis_url: str, forks: ForkServer) -> AsyncGenerator[House]:
    """A deployment without any process yet, on each kind of database."""
    async with built(database_url, redis_url, forks) as house:
        yield house


@pytest.fixture
async def house_on_sand(database_url: str, valkey: ValkeyServer, forks: ForkServer) -> AsyncGenerator[House]:
    """A deployment on the test's own `valkey`, which it will break."""
    async with built(database_url, valkey.url, forks) as house:
        yield house
    assert keys_without_expiry(valkey.url) == [], "these Redis keys would stay for ever"


@asynccontextmanager
async def built(database_url: str, redis_url: str, forks: ForkServer) -> AsyncGenerator[House]:
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as name:
        directory = Path(name)
        async with (
            opened(database_url, redis_url, directory / "artifacts") as record,
            httpx2.AsyncClient(timeout=60) as http,
        ):
            house = House(directory, record, redis_url, forks, http)
            try:
                yield house
            finally:
                house.destroy()
