"""Connections to SQLite (WAL) or PostgreSQL, and the database's own clock."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from tasks_server.errors import ConfigurationError
from tasks_server.store.postgresql_connection import PREPARING_FAILED, postgresql_engine
from tasks_server.store.quick import Quick, ThroughSqlalchemy, direct
from tasks_server.store.sqlite_connection import SqliteConnections

SQLITE_DRIVER = "sqlite+aiosqlite"
POSTGRESQL_DRIVER = "postgresql+asyncpg"

# What a statement raises while the database is away or locked; anything else is a defect.
DATABASE_UNAVAILABLE = (DBAPIError, NoConnectionFree, OSError, TimeoutError, *PREPARING_FAILED)

SQLITE_BUSY_SECONDS = 15
SQLITE_READERS = 4
QUICK_CONNECTIONS = 4


class _Clock(FunctionElement[int]):
    """The database's clock in milliseconds since the epoch, the only clock that leases are measured by."""

    type = BigInteger()
    inherit_cache = True
    postgresql: str


class now_ms(_Clock):  # noqa: N801 - reads as the SQL function it stands for
    """The time when this is reached."""

    inherit_cache = True
    postgresql = "clock_timestamp()"


class began_ms(_Clock):  # noqa: N801
    """The time when the statement began: an index cannot be searched by a clock that goes on."""

    inherit_cache = True
    postgresql = "statement_timestamp()"


@compiles(_Clock, "sqlite")
def _clock_of_sqlite(element: _Clock, compiler: Any, **_: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"


@compiles(_Clock, "postgresql")
def _clock_of_postgresql(element: _Clock, compiler: Any, **_: Any) -> str:
    return f"CAST(extract(epoch FROM {element.postgresql}) * 1000 AS BIGINT)"


class Database:
    """Where statements run: alone (`reading`, `writing`) or several in one transaction; some of them quickly.

    SQLite has one writer at a time, so one connection does this process's writing and others read beside it;
    PostgreSQL gets one pool. A single statement needs no BEGIN and COMMIT of its own and is sent without.
    """

    def __init__(self, url: str, *, limits_statements: bool = True) -> None:
        """limits_statements: on PostgreSQL; a migration may take its time."""
        self.url = check_url(url)
        self.is_sqlite = self.url.startswith("sqlite")
        self._sqlite = SqliteConnections()
        if self.is_sqlite:
            self._writer = _sqlite_engine(self.url, self._sqlite, connections=1)
            self._reader = _sqlite_engine(self.url, self._sqlite, connections=SQLITE_READERS)
        else:
            self._writer = postgresql_engine(self.url, limits_statements=limits_statements)
            self._reader = self._writer
            self._quick = postgresql_engine(
                self.url,
                limits_statements=limits_statements,
                plans_once=True,
                connections=QUICK_CONNECTIONS,
            )

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection]:
        """Everything inside commits together or not at all; on SQLite the write lock is taken at once."""
        async with self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """For one writing statement, which commits by itself."""
        async with self._writer.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """For reading statements; they see what is committed."""
        async with self._reader.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def quick_reading(self) -> AsyncGenerator[Quick]:
        """`reading` for statements that are built once and run all the time."""
        if self.is_sqlite:
            async with self.reading() as connection:
                yield ThroughSqlalchemy(connection)
        else:
            async with direct(self._quick) as connection:
                yield connection

    @asynccontextmanager
    async def quick_writing(self, *, statements_on_sqlite: int = 1) -> AsyncGenerator[Quick]:
        """`writing` for statements that are built once and run all the time.

        statements_on_sqlite: what PostgreSQL does in one statement may take several there, which commit together.
        """
        if not self.is_sqlite:
            async with direct(self._quick) as connection:
                yield connection
        else:
            async with self.writing() if statements_on_sqlite == 1 else self.transaction() as through:
                yield ThroughSqlalchemy(through)

    async def close(self) -> None:
        await self._writer.dispose()
        if not self.is_sqlite:
            await self._quick.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()
        await self._sqlite.ended()


def check_url(url: str) -> str:
    """The URL with its async driver spelled out. Raises ConfigurationError for what cannot work."""
    if not url:
        raise ConfigurationError(
            "TASKS_DATABASE_URL is not set. Write for example sqlite+aiosqlite:///tasks.db or "
            "postgresql+asyncpg://user:password@host/database."
        )
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(f"TASKS_DATABASE_URL is not a database URL: {error}") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.database in {None, "", ":memory:"}:
            raise ConfigurationError(
                "TASKS_DATABASE_URL: an in-memory SQLite database cannot be durable; name a file."
            )
        return parsed.set(drivername=SQLITE_DRIVER).render_as_string(hide_password=False)
    if backend == "postgresql":
        return parsed.set(drivername=POSTGRESQL_DRIVER).render_as_string(hide_password=False)
    raise ConfigurationError(f"TASKS_DATABASE_URL: {backend} is not supported; use SQLite or PostgreSQL.")


def _sqlite_engine(url: str, opener: SqliteConnections, *, connections: int) -> AsyncEngine:
    path = Path(str(make_url(url).database))
    if not path.parent.is_dir():
        raise ConfigurationError(f"TASKS_DATABASE_URL: the directory {path.parent} does not exist.")
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        connect_args={"timeout": SQLITE_BUSY_SECONDS, "async_creator_fn": opener.open},
    )
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    event.listen(engine.sync_engine, "invalidate", _let_go_of_the_lock)
    return engine


def _let_go_of_the_lock(connection: Any, *_: Any) -> None:
    # The task that used this connection was cancelled in the middle of a statement. Closing it does not end its
    # transaction while a cursor of it is still referenced somewhere, and nobody else could write until then.
    with suppress(Exception, asyncio.CancelledError):
        connection.rollback()


def _begin_immediate(connection: Any) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


MINIMUM_SQLITE = (3, 35, 0)
if sqlite3.sqlite_version_info < MINIMUM_SQLITE:  # RETURNING
    raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or newer is needed.")
