"""A migrated database for every test, copied from a template that is migrated once a session."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg

from tests.support.servers import PostgresServer

Migrate = Callable[[str], Awaitable[None]]

# Much faster than dropping a database and copying the template again.
FORGET_EVERYTHING = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tablename FROM pg_tables
            WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
    END $$
"""
END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
"""


class PostgresDatabases:
    """Hands out databases of one PostgreSQL server.

    The administration runs in a thread and an event loop of its own, so that it can be used from fixtures
    and from inside a running test alike.
    """

    def __init__(self, server: PostgresServer, migrate: Migrate) -> None:
        self._server = server
        self._migrate = migrate
        self._names = (f"test_{number}" for number in itertools.count(1))
        self._emptied: list[str] = []
        self._template_ready = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="postgres-admin")
        self._runner = asyncio.Runner()
        self._connections: dict[str, Any] = {}

    def create(self, *, empty: bool = False) -> str:
        """The URL of a database without rows, migrated unless `empty`, which is without tables too."""
        if self._emptied and not empty:
            return self._server.url(self._emptied.pop())
        name = next(self._names)
        self._thread.submit(self._create, name, empty).result()
        return self._server.url(name)

    def take_back(self, url: str) -> None:
        """Delete every row of a migrated database, whoever is still connected to it; it will be used again."""
        name = _name(url)
        self._thread.submit(self._run, END_OTHERS + FORGET_EVERYTHING, name).result()
        self._emptied.append(name)

    def drop(self, url: str) -> None:
        """Forget a database, whoever is still connected to it."""
        self._thread.submit(self._run, f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)').result()

    def close(self) -> None:
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _close(self) -> None:
        for connection in self._connections.values():
            self._runner.run(_close(connection))
        self._runner.close()

    def _create(self, name: str, empty: bool) -> None:
        if empty:
            self._run(f'CREATE DATABASE "{name}"')
            return
        if not self._template_ready:
            self._run("CREATE DATABASE migrated")
            self._runner.run(_call(self._migrate, self._server.url("migrated")))
            self._template_ready = True
        self._run(f'CREATE DATABASE "{name}" TEMPLATE migrated')

    def _run(self, statement: str, database: str = "postgres") -> None:
        self._runner.run(self._execute(statement, database))

    async def _execute(self, statement: str, database: str) -> None:
        try:
            await self._connections[database].execute(statement)
        except (KeyError, asyncpg.PostgresError, asyncpg.InterfaceError):  # a test may have ended it
            connection: Any = await asyncpg.connect(
                host=str(self._server.directory), user="postgres", database=database
            )
            self._connections[database] = connection
            await connection.execute(statement)


async def _close(connection: Any) -> None:
    await connection.close(timeout=5)


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


class SqliteDatabases:
    """Hands out SQLite files, each in a directory that the caller names."""

    def __init__(self, directory: Path, migrate: Migrate) -> None:
        self._template = directory / "migrated.db"
        self._migrate = migrate

    def create(self, directory: Path, *, empty: bool = False) -> str:
        """The URL of a new database file in `directory`, migrated unless `empty`."""
        path = directory / "tasks.db"
        if not empty:
            if not self._template.exists():
                self._make_template()
            shutil.copyfile(self._template, path)
        return f"sqlite+aiosqlite:///{path}"

    def _make_template(self) -> None:
        fresh = self._template.with_name("fresh.db")
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _call(self._migrate, f"sqlite+aiosqlite:///{fresh}")).result()
        assert not fresh.with_name("fresh.db-wal").exists(), "the migration left its database open"
        fresh.rename(self._template)


async def _call(migrate: Migrate, url: str) -> None:
    await migrate(url)
