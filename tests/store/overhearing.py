"""What one process says to its database: through SQLAlchemy, and past it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.util import await_only

from tasks_server.store import quick
from tests.store.record import Record

Heard = Callable[[str, Any], Awaitable[None]]
"""Takes SQL and parameters, before they are sent."""


@contextmanager
def overhearing(
    record: Record,
    *,
    statement: Heard | None = None,
    commit: Callable[[], Awaitable[None]] | None = None,
    hears_reading: bool = True,
) -> Generator[None]:
    """Call these before each statement and each COMMIT of this record's process; they may hold them back.

    hears_reading False: on SQLite, nothing is heard of the connections that only read.
    """
    database: Any = record.database
    engines = [database._writer.sync_engine]
    if hears_reading and database._reader is not database._writer:
        engines.append(database._reader.sync_engine)

    def before_statement(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        if statement is not None:
            await_only(statement(sql, parameters))

    def before_commit(_connection: Any) -> None:
        if commit is not None:
            await_only(commit())

    for engine in engines:
        event.listen(engine, "before_cursor_execute", before_statement)
        event.listen(engine, "commit", before_commit)
    try:
        with _directly(record, statement, commit), _committing_by_itself(record, commit):
            yield
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", before_statement)
            event.remove(engine, "commit", before_commit)


IS_WRITING = re.compile("INSERT|UPDATE|DELETE")


@contextmanager
def _committing_by_itself(record: Record, commit: Callable[[], Awaitable[None]] | None) -> Generator[None]:
    """On SQLite, what commits by itself does so in a transaction: that becomes a moment of its own."""
    fetch = quick.ThroughSqlalchemy.fetch
    database: Any = record.database

    async def fetching(self: quick.ThroughSqlalchemy, statement: Any, parameters: Mapping[str, Any]) -> Any:
        connection: Any = self._connection  # pyright: ignore[reportPrivateUsage]
        driver = (await connection.get_raw_connection()).driver_connection
        is_ours = connection.sync_engine.pool is database._writer.sync_engine.pool
        if commit is None or not is_ours or driver.in_transaction or not statement.is_dml:
            return await fetch(self, statement, parameters)
        await driver.execute("BEGIN IMMEDIATE")
        try:
            rows = await fetch(self, statement, parameters)
            await commit()
        except BaseException:
            await driver.rollback()
            raise
        await driver.commit()
        return rows

    quick.ThroughSqlalchemy.fetch = fetching
    try:
        yield
    finally:
        quick.ThroughSqlalchemy.fetch = fetch


@contextmanager
def _directly(
    record: Record, heard: Heard | None, commit: Callable[[], Awaitable[None]] | None
) -> Generator[None]:
    fetch = quick.Direct.fetch
    database: Any = record.database

    async def fetching(self: quick.Direct, statement: Any, parameters: Mapping[str, Any]) -> Any:
        if database.is_sqlite or self.engine is not database._quick:
            return await fetch(self, statement, parameters)
        compiled = quick.compiled_once(statement)
        if heard is not None:
            await heard(compiled.sql, tuple(compiled.arguments(parameters)))
        if commit is None or not IS_WRITING.search(compiled.sql):
            return await fetch(self, statement, parameters)
        driver: Any = self._driver  # pyright: ignore[reportPrivateUsage]
        async with driver.transaction():
            rows = await fetch(self, statement, parameters)
            await commit()
        return rows

    quick.Direct.fetch = fetching
    try:
        yield
    finally:
        quick.Direct.fetch = fetch
