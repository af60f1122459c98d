"""A SQLite connection that can be given up in the middle of a statement."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import Any

import aiosqlite

ROWS_PER_FETCH = 64
END_SECONDS = 5.0


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

    def _close_opened(self) -> None:
        """Also when whoever waited for it to open was cancelled, and never got it."""
        if self.opened is not None:
            self.opened.close()


class SqliteConnections:
    """Opens connections, and knows when the threads behind them have ended."""

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()

    def open(self, path: str, **options: Any) -> aiosqlite.Connection:
        """What `create_async_engine` takes as `async_creator_fn`: options are those of `sqlite3.connect`."""

        def connect() -> sqlite3.Connection:
            connection.opened = sqlite3.connect(path, **options)
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
