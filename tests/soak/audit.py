"""A second pair of eyes in the database: a trigger notes every write that leaves a task at an end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

TABLE = "CREATE TABLE soak_end (task_id TEXT, status TEXT, attempt INTEGER)"
POSTGRESQL = (
    """CREATE FUNCTION soak_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO soak_end VALUES (NEW.id, NEW.status, NEW.attempt); RETURN NULL; END $$""",
    """CREATE TRIGGER soak_note AFTER INSERT OR UPDATE ON task FOR EACH ROW
        WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION soak_note()""",
)
SQLITE = (
    """CREATE TRIGGER soak_note AFTER UPDATE ON task WHEN NEW.finished_at IS NOT NULL BEGIN
        INSERT INTO soak_end VALUES (NEW.id, NEW.status, NEW.attempt); END""",
)


async def install(database_url: str) -> None:
    async with connected(database_url) as connection:
        for statement in (TABLE, *(SQLITE if database_url.startswith("sqlite") else POSTGRESQL)):
            await connection.execute(text(statement))
        await connection.commit()


@asynccontextmanager
async def connected(database_url: str) -> AsyncGenerator[AsyncConnection]:
    """A connection of our own, past every part of the product."""
    engine = create_async_engine(database_url)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def select(database_url: str, statement: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a query, as dictionaries."""
    async with connected(database_url) as connection:
        rows = await connection.execute(text(statement), parameters)
        return [dict(row) for row in rows.mappings()]
