"""Connections to PostgreSQL that end before they can be used, or while nobody looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.outage import is_outage, through_outages
from tasks_server.store.statements import terms
from tests.support.forwarding import forwarding

# What is sent over a new connection: the driver's greeting, then our setting.
GREETING = b"client_encoding"
SETTING = b"idle_in_transaction_session_timeout"

READY = b"Z\0\0\0\5I"
FIELDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
FAREWELL = b"E" + (4 + len(FIELDS)).to_bytes(4, "big") + FIELDS

END_EVERYBODY_ELSE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class Road:
    """Cuts the next connection that sends `cut_at`. With `keeps_open`, one that the server ends stays open.

    welcomes: False, and the next connection is ended by the server as soon as it is ready. farewell: the server has
    said that it ends a connection.
    """

    def __init__(self) -> None:
        self.cut_at: bytes | None = None
        self.keeps_open = False
        self.test_is_over = asyncio.Event()
        self.welcomes = True
        self.farewell = asyncio.Event()

    async def forth(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self.cut_at is not None and self.cut_at in chunk:
                self.cut_at = None
                return
            yield chunk

    async def back(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if not self.welcomes and chunk.endswith(READY):
                self.welcomes = True
                yield chunk + FAREWELL
                continue
            yield chunk
            if b"FATAL" in chunk:
                self.farewell.set()
        if self.keeps_open:
            await self.test_is_over.wait()


@pytest.fixture
async def road(postgresql_url: str) -> AsyncGenerator[tuple[Road, Database]]:
    address, _, directory = postgresql_url.partition("?host=")
    road = Road()
    async with forwarding(Path(directory) / ".s.PGSQL.5432", lambda: road) as port:
        database = Database(address.replace("@/", f"@127.0.0.1:{port}/") + "?ssl=disable")
        yield road, database
        road.test_is_over.set()
        await database.close()


async def look(database: Database) -> int:
    async with database.reading() as connection:
        return (await connection.execute(terms.clock())).scalar_one()


async def look_in_a_transaction(database: Database) -> int:
    async with database.transaction() as connection:
        return (await connection.execute(terms.clock())).scalar_one()


@pytest.mark.parametrize("message", [GREETING, SETTING])
async def test_a_connection_that_is_cut_while_it_is_prepared_is_an_outage(
    road: tuple[Road, Database], message: bytes
):
    cutting, database = road
    cutting.cut_at = message
    with pytest.raises(DATABASE_UNAVAILABLE) as raised:
        await look(database)
    assert is_outage(raised.value), repr(raised.value)
    assert cutting.cut_at is None
    assert await look(database) > 0


async def test_a_connection_that_is_ended_as_soon_as_it_is_ready_is_an_outage(road: tuple[Road, Database]):
    ending, database = road
    async with database.reading():  # so that another connection is needed, and not the very first one
        ending.welcomes = False
        with pytest.raises(DATABASE_UNAVAILABLE) as raised:
            await look(database)
        assert is_outage(raised.value), repr(raised.value)
        assert await look(database) > 0


async def test_who_waits_for_the_database_waits_for_its_connection_too(road: tuple[Road, Database]):
    cutting, database = road
    cutting.cut_at = SETTING
    assert await through_outages(lambda: look(database), "the test") > 0
    assert cutting.cut_at is None


@pytest.mark.parametrize("look", [look, look_in_a_transaction])
async def test_a_connection_that_has_been_told_its_end_is_an_outage(
    road: tuple[Road, Database], postgresql_url: str, look: Callable[[Database], Awaitable[int]]
):
    """Told, but not closed yet: the driver waits for the rest of the bad news, and takes no statement meanwhile."""
    ending, database = road
    ending.keeps_open = True
    await look(database)
    another = Database(postgresql_url)
    async with another.reading() as connection:
        await connection.execute(text(END_EVERYBODY_ELSE))
    await another.close()
    await ending.farewell.wait()
    # As many rounds of the event loop as the message may need from the socket to the driver.
    for _ in range(20):
        await asyncio.sleep(0)
    with pytest.raises(DATABASE_UNAVAILABLE) as raised:
        await look(database)
    assert is_outage(raised.value), repr(raised.value)
    assert await look(database) > 0, "that connection has been given up"


async def test_a_wrong_password_is_no_outage(postgresql_url: str):
    """Waiting does not help: whoever looks after the server has to be told."""
    database = Database(postgresql_url.replace("//postgres@", "//nobody:wrong@"))
    with pytest.raises(DATABASE_UNAVAILABLE) as raised:
        await look(database)
    assert not is_outage(raised.value)
    await database.close()
