"""Finding out before anything starts that it cannot work, and saying so in a line."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from tasks_server.errors import ConfigurationError
from tasks_server.settings import Settings
from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.migrate import check_migrated, migrate


def check_file_roots(settings: Settings) -> None:
    """Raises ConfigurationError unless every directory that tools may read is there."""
    for root in settings.file_roots:
        if not root.is_dir():
            raise ConfigurationError(
                f"TASKS_FILE_ROOTS: there is no directory {root}. Make it, or leave it out."
            )


async def check_database(url: str) -> None:
    """Raises ConfigurationError unless the database answers and has the shape that this version needs."""
    async with _explained(url):
        database = Database(url)
        try:
            await check_migrated(database)
        finally:
            await database.close()


async def migrate_database(url: str) -> None:
    """Bring the database to the shape that this version needs. Raises ConfigurationError if it cannot be."""
    async with _explained(url):
        await migrate(url)


@asynccontextmanager
async def _explained(url: str) -> AsyncGenerator[None]:
    try:
        yield
    except (*DATABASE_UNAVAILABLE, SQLAlchemyError) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise ConfigurationError(
            f"The database {make_url(url).render_as_string(hide_password=True)} cannot be used: {reason}. "
            "TASKS_DATABASE_URL says where it is."
        ) from None
