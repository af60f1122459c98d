"""The statements that are run all the time, without what makes running any statement convenient.

SQLAlchemy builds and compiles them, once. Run through it, one costs several times what PostgreSQL takes for it, and
PostgreSQL plans anew what it has planned a thousand times before, because it hopes that these parameters allow
a better plan; for statements that find their rows by ids they never do.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Protocol

from sqlalchemy import Connection, Executable
from sqlalchemy.dialects.postgresql import asyncpg as dialect_of_asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

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
    connection = await greenlet_spawn(engine.sync_engine.connect)
    driver = _driver_of(connection)
    if driver.is_closed():  # PostgreSQL was restarted meanwhile
        await greenlet_spawn(connection.invalidate)
        await greenlet_spawn(connection.close)
        connection = await greenlet_spawn(engine.sync_engine.connect)
        driver = _driver_of(connection)
    is_settled = False
    try:
        yield Direct(driver, engine)
        is_settled = True
    except TimeoutError:
        raise StatementTimedOut("PostgreSQL has not answered in time") from None
    except Exception:
        is_settled = True
        raise
    finally:
        try:
            if not is_settled or driver.is_closed() or driver.is_in_transaction():
                # An answer that may still come would be taken for that of the next statement.
                await greenlet_spawn(connection.invalidate)
        finally:
            await greenlet_spawn(connection.close)


def _driver_of(connection: Connection) -> Any:
    return connection.connection.driver_connection
