"""Whether the database can be worked with, in a word and a sentence."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.migrate import NEWEST, current_migration


class Condition(StrEnum):
    """`ahead` serves: migrations only add, and a deployment is migrated before its servers are replaced."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    READ_ONLY = "read_only"
    EMPTY = "empty"
    BEHIND = "behind"
    AHEAD = "ahead"

    @property
    def can_serve(self) -> bool:
        return self in {Condition.OK, Condition.AHEAD}


async def condition_of(database: Database) -> tuple[Condition, str]:
    """The database's condition, and a sentence unless it is OK."""
    try:
        async with database.reading() as connection:
            found = await connection.run_sync(current_migration)
            is_read_only = await _is_read_only(database, connection)
    except DATABASE_UNAVAILABLE as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0] or type(error).__name__
        return Condition.UNREACHABLE, f"The database is not reachable: {reason}."
    if found is None:
        return Condition.EMPTY, "The database is empty: run `tasks-server migrate`."
    if found < NEWEST:
        what = f"The database is at migration {found}, this server needs {NEWEST}"
        return Condition.BEHIND, f"{what}: run `tasks-server migrate` with this version."
    if is_read_only:
        return (
            Condition.READ_ONLY,
            "The database can be read but not written: nothing can be submitted or end.",
        )
    if found > NEWEST:
        what = f"The database is at migration {found}, this server knows {NEWEST}"
        return Condition.AHEAD, f"{what}: a newer version is being rolled out, replace this server too."
    return Condition.OK, ""


async def _is_read_only(database: Database, connection: AsyncConnection) -> bool:
    if database.is_sqlite:
        path = Path(str(make_url(database.url).database))
        # SQLite writes beside its file too.
        return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    setting = text("SELECT current_setting('transaction_read_only')")
    return (await connection.execute(setting)).scalar_one() == "on"
