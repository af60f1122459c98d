"""What both sides stand on: one Valkey, and a PostgreSQL that keeps what it has committed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import asyncpg

from tests.support.servers import PostgresServer, ValkeyServer


@contextmanager
def valkey() -> Generator[str]:
    """The URL of a Valkey that keeps nothing on disk: the fastest that the peer can be given."""
    server = ValkeyServer()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


@contextmanager
def postgresql() -> Generator[PostgresServer]:
    server = PostgresServer(survives_crashes=True, syncs=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def new_database(server: PostgresServer, name: str) -> str:
    """The URL of an empty database."""
    connection: Any = await asyncpg.connect(host=str(server.directory), user="postgres", database="postgres")
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return server.url(name)
