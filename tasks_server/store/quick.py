"""The statements that are run all the time, without what makes running any statement convenient.

SQLAlchemy builds and compiles them, once. Run through it, one costs several times what PostgreSQL takes for it, and
PostgreSQL plans anew what it has planned a thousand times before, because it hopes that these parameters allow
a better plan; for statements that find their rows by ids they never do.
"""

from __future__ import annotations

import asyncio
from collections import namedtuple
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any, Protocol

from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql import asyncpg as dialect_of_asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tasks_server.store.postgresql_connection import StatementTimedOut


class Quick(Protocol):
    """Runs statements that are built once, and gives their rows, whose columns are attributes."""

    async def fetch(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any]: ...


class ThroughSqlalchemy:
    """On SQLite, where the visit to the connection's thread costs more than anything else."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def fetch(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any]:
        return (await self._connection.execute(statement, dict(parameters))).all()


class Direct:
    """On PostgreSQL, straight to the driver. engine: whose connection it is."""

    def __init__(self, driver: Any, engine: AsyncEngine) -> None:
        self._driver = driver
        self.engine = engine

    async def fetch(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any]:
        compiled = compiled_once(statement)
        return compiled.rows(await self._driver.fetch(compiled.sql, *compiled.arguments(parameters)))

    async def begin(self, *, is_durable: bool = True) -> None:
        # In one message: what is not durable is not worth another one.
        await self._driver.execute("BEGIN" if is_durable else "BEGIN; SET LOCAL synchronous_commit = off")

    async def commit(self) -> None:
        await self._driver.execute("COMMIT")

    async def roll_back(self) -> None:
        await self._driver.execute("ROLLBACK")


class Compiled:
    """One statement as PostgreSQL gets it."""

    def __init__(self, statement: Any) -> None:
        compiled: Any = statement.compile(dialect=dialect_of_asyncpg.dialect())
        self.sql = str(compiled)
        self._names: Sequence[str] = compiled.positiontup
        self._constants: Mapping[str, Any] = compiled.params
        self._row: Any = None

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        return [parameters[name] if name in parameters else self._constants[name] for name in self._names]

    def rows(self, records: Sequence[Any]) -> Sequence[Any]:
        if not records:
            return ()
        if self._row is None:
            # Its columns are those of the statement.
            self._row = namedtuple("Row", records[0].keys())  # noqa: PYI024  # pyright: ignore[reportUntypedNamedTuple]
        return [self._row._make(record) for record in records]


@cache
def compiled_once(statement: Any) -> Compiled:
    """A statement is built once, so it is its own key."""
    return Compiled(statement)


@asynccontextmanager
async def direct(engine: AsyncEngine) -> AsyncGenerator[Direct]:
    """A connection of the pool, for statements that commit by themselves."""
    async with engine.connect() as connection:
        driver = await _open_driver(connection)
        try:
            yield Direct(driver, engine)
        except TimeoutError:
            # The answer may still come, and would be taken for that of the next statement.
            await connection.invalidate()
            raise StatementTimedOut("PostgreSQL has not answered in time") from None
        except asyncio.CancelledError:
            await connection.invalidate()
            raise
        finally:
            if not connection.invalidated and (driver.is_closed() or driver.is_in_transaction()):
                await connection.invalidate()


@asynccontextmanager
async def direct_transaction(engine: AsyncEngine, *, is_durable: bool = True) -> AsyncGenerator[Direct]:
    """Everything inside commits together or not at all. Unless it is durable, a crash of PostgreSQL may undo it."""
    async with direct(engine) as connection:
        await connection.begin(is_durable=is_durable)
        try:
            yield connection
        except Exception:
            with suppress(Exception):  # then the connection is given up
                await connection.roll_back()
            raise
        await connection.commit()


async def _open_driver(connection: AsyncConnection) -> Any:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if driver.is_closed():  # PostgreSQL was restarted meanwhile
        await connection.invalidate()
        driver = (await connection.get_raw_connection()).driver_connection
    return driver
