"""A SQLite connection that can be given up in the middle of a statement, and pays its thread one visit for each."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import aiosqlite

T = TypeVar("T")

ROWS_PER_FETCH = 64
END_SECONDS = 5.0
BUSY_PAUSE_SECONDS = 0.01


class GivenUpOnce(aiosqlite.Connection):
    """Its thread is told to stop once, and never again.

    SQLAlchemy closes the connection of a cancelled statement, and stops it as well if the cancellation comes
    again meanwhile, as that of a cancel scope does. The close then waits for a second stop of a thread that has
    already ended: for ever, and nothing can end the process in order any more.
    """

    opened: sqlite3.Connection | None = None
    _told_to_stop = False

    def stop(self) -> asyncio.Future[Any] | None:
        if self._told_to_stop:
            return None
        self._told_to_stop = True
        self._tx.put_nowait((None, self._close_opened))  # pyright: ignore[reportUnknownMemberType]
        return super().stop()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    def cursor(self) -> OneVisitCursor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return OneVisitCursor(self)

    async def rollback(self) -> None:
        """SQLAlchemy makes sure after every use, and mostly there is nothing to roll back."""
        if self.in_transaction:
            await super().rollback()

    async def visit(self, work: Callable[[], T]) -> T:
        """What `work` returns in the connection's thread."""
        return await self._execute(work)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    def _close_opened(self) -> None:
        """Also when whoever waited for it to open was cancelled, and never got it."""
        if self.opened is not None:
            self.opened.close()


class OneVisitCursor:
    """What SQLAlchemy wants of an asynchronous cursor. A statement is run, read and closed in one go.

    aiosqlite's own cursor goes to the thread and back for each of the four: to be made, to run, to be read, to close.
    """

    description: Any = None
    rowcount = -1
    lastrowid: int | None = None
    arraysize = 1

    def __init__(self, connection: GivenUpOnce) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, operation: str, parameters: Any = ()) -> None:
        await self._connection.visit(lambda: self._run(self._opened.execute(operation, parameters)))

    async def executemany(self, operation: str, parameters: Any) -> None:
        await self._connection.visit(lambda: self._run(self._opened.executemany(operation, parameters)))

    async def fetchall(self) -> Sequence[Any]:
        return self._rows

    async def close(self) -> None:
        """It is closed already."""

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection.opened is None:
            raise sqlite3.ProgrammingError("The connection is not open.")
        return self._connection.opened

    def _run(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self._rows = cursor.fetchall() if cursor.description is not None else ()
        self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        cursor.close()


class SqliteConnections:
    """Opens connections, and knows when the threads behind them have ended."""

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()

    def open(self, path: str, *, timeout: float, **options: Any) -> aiosqlite.Connection:
        """What `create_async_engine` takes as `async_creator_fn`: options are those of `sqlite3.connect`."""

        def connect() -> sqlite3.Connection:
            connection.opened = sqlite3.connect(path, timeout=timeout, isolation_level=None, **options)
            _write_ahead(connection.opened, timeout)
            for pragma in ("synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
                connection.opened.execute(f"PRAGMA {pragma}")
            return connection.opened

        connection = GivenUpOnce(connect, ROWS_PER_FETCH)
        thread = connection._thread  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        thread.daemon = True  # as SQLAlchemy has it
        self._threads = {*(known for known in self._threads if known.is_alive()), thread}
        return connection

    async def ended(self) -> None:
        """Wait for the statements that were given up: a thread must not report to a loop that is closed."""
        for thread in self._threads:
            if thread.is_alive():
                await asyncio.to_thread(thread.join, END_SECONDS)


def _write_ahead(opened: sqlite3.Connection, timeout: float) -> None:
    """Have a new file written ahead of. SQLite does not wait by itself for whoever is writing to it just now."""
    until = time.monotonic() + timeout
    while not _is_written_ahead(opened, or_raises=time.monotonic() > until):
        time.sleep(BUSY_PAUSE_SECONDS)


def _is_written_ahead(opened: sqlite3.Connection, *, or_raises: bool) -> bool:
    try:
        opened.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if or_raises or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
