"""Bringing a database to the shape this version needs, and refusing to work on one that is not."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from tasks_server.errors import ConfigurationError
from tasks_server.store.database import Database

# The newest migration in migrations/versions; a test keeps the two equal.
NEWEST = "0003"
# Any number: names the lock that keeps two migrating processes apart on PostgreSQL.
ADVISORY_LOCK = 7_402_663_419


async def migrate(database_url: str) -> None:
    """Bring the database to the newest shape. Safe to run from several processes at once, and again."""
    database = Database(database_url, limits_statements=False)
    try:
        async with database.transaction() as connection:
            if not database.is_sqlite:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            if await connection.run_sync(current_migration) != NEWEST:
                # Alembic takes half as long to load as everything else together.
                from tasks_server.store.upgrade import upgrade

                await connection.run_sync(upgrade)
    finally:
        await database.close()


async def check_migrated(database: Database) -> None:
    """Raises ConfigurationError unless the database has exactly the shape this version needs."""
    async with database.reading() as connection:
        found = await connection.run_sync(current_migration)
    if found == NEWEST:
        return
    if found is None:
        raise ConfigurationError("The database is empty. Run `tasks-server migrate` first.")
    raise ConfigurationError(
        f"The database is at migration {found}, this version needs {NEWEST}. Run `tasks-server migrate` "
        "with the newest version you use, and no older version after that."
    )


def current_migration(connection: Connection) -> str | None:
    """The migration that the database is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
