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

    _told_to_stop = False

    def stop(self) -> asyncio.Future[Any] | None:
        if self._told_to_stop:
            return None
        self._told_to_stop = True
        return super().stop()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class SqliteConnections:
    """Opens connections, and knows when the threads behind them have ended."""

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()

    def open(self, path: str, **options: Any) -> aiosqlite.Connection:
        """What `create_async_engine` takes as `async_creator_fn`: options are those of `sqlite3.connect`."""

        def connect() -> sqlite3.Connection:
            opened = sqlite3.connect(path, **options)
            # Known to its owner at once: whoever waits for it may be cancelled, and then it is closed all the same.
            connection._connection = opened  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            return opened

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
