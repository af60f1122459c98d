"""A SQLite connection that can be given up in the middle of a statement."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import Any

import aiosqlite

ROWS_PER_FETCH = 64


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


def open_sqlite(path: str, **options: Any) -> aiosqlite.Connection:
    """What `create_async_engine` takes as `async_creator_fn`: options are those of `sqlite3.connect`."""
    connection = GivenUpOnce(partial(sqlite3.connect, path, **options), ROWS_PER_FETCH)
    connection._thread.daemon = True  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as SQLAlchemy does
    return connection
