"""Deployments that tests break."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.crashes.forked import ForkServer
from tests.crashes.house import House
from tests.store.record import opened


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
async def house(database_url: str, redis_url: str, forks: ForkServer) -> AsyncGenerator[House]:
    """A deployment without any process yet, on each kind of database."""
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as name:
        directory = Path(name)
        async with (
            opened(database_url, redis_url, directory / "artifacts") as record,
            httpx2.AsyncClient(timeout=20) as http,
        ):
            house = House(directory, record, redis_url, forks, http)
            try:
                yield house
            finally:
                house.destroy()
