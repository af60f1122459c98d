"""What one process says to its database: through SQLAlchemy, and past it."""

from __future__ import annotations

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
        with _directly(record, statement, commit):
            yield
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", before_statement)
            event.remove(engine, "commit", before_commit)


@contextmanager
def _directly(
    record: Record, heard: Heard | None, commit: Callable[[], Awaitable[None]] | None
) -> Generator[None]:
    fetch, send = quick.Direct.fetch, quick.Direct.commit
    database: Any = record.database

    def is_ours(connection: quick.Direct) -> bool:
        return not database.is_sqlite and connection.engine is database._quick

    async def fetching(self: quick.Direct, statement: Any, parameters: Mapping[str, Any]) -> Any:
        if heard is not None and is_ours(self):
            compiled = quick.compiled_once(statement)
            await heard(compiled.sql, tuple(compiled.arguments(parameters)))
        return await fetch(self, statement, parameters)

    async def committing(self: quick.Direct) -> None:
        if commit is not None and is_ours(self):
            await commit()
        await send(self)

    quick.Direct.fetch, quick.Direct.commit = fetching, committing
    try:
        yield
    finally:
        quick.Direct.fetch, quick.Direct.commit = fetch, send
