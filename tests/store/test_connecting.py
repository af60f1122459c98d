"""Connections to PostgreSQL that end before they can be used."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.outage import is_outage, through_outages
from tasks_server.store.statements import terms
from tests.support.cutting_proxy import CuttingProxy, cutting_proxy

# What is sent over a new connection: the driver's greeting, then our setting.
GREETING = b"client_encoding"
SETTING = b"idle_in_transaction_session_timeout"


@pytest.fixture
async def road(postgresql_url: str) -> AsyncGenerator[tuple[CuttingProxy, Database]]:
    async with cutting_proxy(postgresql_url) as (proxy, url):
        database = Database(url)
        yield proxy, database
        await database.close()


async def look(database: Database) -> int:
    async with database.reading() as connection:
        return (await connection.execute(terms.clock())).scalar_one()


@pytest.mark.parametrize("text", [GREETING, SETTING])
async def test_a_connection_that_is_cut_while_it_is_prepared_is_an_outage(
    road: tuple[CuttingProxy, Database], text: bytes
):
    proxy, database = road
    proxy.cut_at(text, forwards=False)
    with pytest.raises(DATABASE_UNAVAILABLE) as raised:
        await look(database)
    assert is_outage(raised.value), repr(raised.value)
    assert proxy.cuts == 1
    assert await look(database) > 0


async def test_who_waits_for_the_database_waits_for_its_connection_too(road: tuple[CuttingProxy, Database]):
    proxy, database = road
    proxy.cut_at(SETTING)
    assert await through_outages(lambda: look(database), "the test") > 0
    assert proxy.cuts == 1


async def test_a_wrong_password_is_no_outage(postgresql_url: str):
    """Waiting does not help: whoever looks after the server has to be told."""
    database = Database(postgresql_url.replace("@", ":wrong@", 1).replace("postgres:", "nobody:", 1))
    with pytest.raises(DATABASE_UNAVAILABLE) as raised:
        await look(database)
    assert not is_outage(raised.value)
    await database.close()
