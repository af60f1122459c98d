"""Telling a database that is away from a statement that is wrong, and waiting until it is back."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from asyncpg import PostgresError
from sqlalchemy.exc import DBAPIError, OperationalError

from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.postgresql_connection import PREPARING_FAILED

log = logging.getLogger(__name__)

Result = TypeVar("Result")

PAUSE_SECONDS = 0.25
# PostgreSQL's classes of errors (Appendix A) that go away by themselves: connection exception, transaction
# rollback (deadlock, serialization), insufficient resources, operator intervention (shutdown, starting up).
PASSING_CLASSES = {"08", "40", "53", "57"}
ENDING_CLASSES = {"08", "57"}
# After a fail-over the old address may lead to a standby for a while.
READ_ONLY = "25006"
# SQLite calls everything operational; this one of its codes is a statement that is wrong.
SQLITE_DEFECT = "SQLITE_ERROR"


def is_outage(error: BaseException) -> bool:
    """Whether trying the same again later may succeed."""
    if isinstance(error, PREPARING_FAILED):
        return not isinstance(error, PostgresError) or _passes(error)
    if not isinstance(error, DBAPIError):
        return isinstance(error, DATABASE_UNAVAILABLE)
    is_wrong = getattr(error.orig, "sqlite_errorname", None) == SQLITE_DEFECT
    return (
        error.connection_invalidated
        or (isinstance(error, OperationalError) and not is_wrong)
        or _passes(error.orig)
    )


def may_be_done(error: BaseException) -> bool:
    """Whether a statement that was sent, and met this outage, may have been carried out and committed.

    A database that still says what is wrong has not; but PostgreSQL may say so of the connection it is ending.
    """
    said = getattr(error, "orig", None) or error
    sqlstate: str | None = getattr(said, "sqlstate", None)
    if sqlstate is None:
        return is_outage(error) and not isinstance(said, sqlite3.Error)
    return sqlstate[:2] in ENDING_CLASSES


def _passes(error: BaseException | None) -> bool:
    sqlstate: str | None = getattr(error, "sqlstate", None)
    return sqlstate is not None and (sqlstate[:2] in PASSING_CLASSES or sqlstate == READ_ONLY)


async def through_outages(call: Callable[[], Awaitable[Result]], doing: str) -> Result:
    """What `call` returns, tried again for as long as the database is away; cancel to give up.

    `call` must come to the same end when its commit succeeded and only the answer was lost.
    """
    while True:
        try:
            return await call()
        except DATABASE_UNAVAILABLE as error:
            if not is_outage(error):
                raise
            log.warning("%s has to wait for the database: %s", doing, error)
        await anyio.sleep(PAUSE_SECONDS)
