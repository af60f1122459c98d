"""Bringing a database to the shape this version needs, and refusing to work on one that is not."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tasks_server.errors import ConfigurationError
from tasks_server.store.database import Database

SCRIPTS = Path(__file__).parent / "migrations"
# Any number: names the lock that keeps two migrating processes apart on PostgreSQL.
ADVISORY_LOCK = 7_402_663_419


async def migrate(database_url: str) -> None:
    """Bring the database to the newest shape. Safe to run from several processes at once, and again."""
    database = Database(database_url)
    try:
        async with database.transaction() as connection:
            if not database.is_sqlite:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            await connection.run_sync(_upgrade)
    finally:
        await database.close()


async def check_migrated(database: Database) -> None:
    """Raises ConfigurationError unless the database has exactly the shape this version needs."""
    async with database.reading() as connection:
        found = await connection.run_sync(_current)
    wanted = ScriptDirectory(str(SCRIPTS)).get_current_head()
    if found == wanted:
        return
    if found is None:
        raise ConfigurationError("The database is empty. Run `tasks-server migrate` first.")
    raise ConfigurationError(
        f"The database is at migration {found}, this version needs {wanted}. Run `tasks-server migrate` "
        "with the newest version you use, and no older version after that."
    )


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
