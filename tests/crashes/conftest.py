"""Deployments that tests break."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tests.crashes.forked import ForkingStarter, ForkServer
from tests.crashes.house import House
from tests.store.record import opened
from tests.support.databases import PostgresDatabases
from tests.support.redis_keys import keys_without_expiry
from tests.support.servers import PostgresServer, ValkeyServer

# The others are the fast part, which `make test` runs too.
LEFT_TO_MAKE_CRASHES = {
    "test_clocks",
    "test_dev_sharing",
    "test_object_store",
    "test_rolling_restart",
    "test_scratch",
    "test_sqlite_faults",
    "test_standstill",
    "test_waiting_clients",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.crash)
            if item.path.stem in LEFT_TO_MAKE_CRASHES:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def fork(forks: ForkServer) -> Iterator[ForkingStarter]:
    """As `start`, but without the second that each `python -m tasks_server` takes."""
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as directory:
        starter = ForkingStarter(Path(directory), forks)
        yield starter
        starter.destroy()


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


@pytest.fixture
async def house_on_a_fault(
    postgres_to_break: tuple[PostgresServer, PostgresDatabases], redis_url: str, forks: ForkServer
) -> AsyncGenerator[tuple[House, PostgresServer]]:
    """A deployment on a PostgreSQL that the test will break; it must run again in the end."""
    server, databases = postgres_to_break
    url = databases.create()
    async with built(url, redis_url, forks) as house:
        yield house, server
    databases.take_back(url)


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
