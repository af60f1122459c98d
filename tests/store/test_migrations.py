"""From an empty database to the record's shape and back, whoever else is migrating."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

from tasks_server.errors import ConfigurationError
from tasks_server.store.database import Database
from tasks_server.store.migrate import NEWEST, check_migrated, migrate
from tasks_server.store.tables import TASK
from tasks_server.store.upgrade import SCRIPTS
from tests.store.record import Record, claim
from tests.support.databases import SqliteDatabases
from tests.support.processes import ProcessStarter


def shape(connection: Connection) -> dict[str, Any]:
    """Everything the database itself knows about its tables."""
    look = inspect(connection)
    tables = sorted(set(look.get_table_names()) - {"alembic_version"})
    return {
        table: {
            "columns": sorted(
                (column["name"], str(column["type"]), column["nullable"], str(column["default"] is None))
                for column in look.get_columns(table)
            ),
            "primary key": look.get_pk_constraint(table)["constrained_columns"],
            "foreign keys": [
                (key["constrained_columns"], key["referred_table"], key.get("options"))
                for key in look.get_foreign_keys(table)
            ],
            "checks": sorted(
                (check["name"] or "", check["sqltext"]) for check in look.get_check_constraints(table)
            ),
            "indexes": sorted(
                (
                    index["name"] or "",
                    index["column_names"],
                    [str(condition) for condition in index.get("dialect_options", {}).values()],
                )
                for index in look.get_indexes(table)
            ),
        }
        for table in tables
    }


def ours(_object: Any, name: str | None, kind: str, *_: Any) -> bool:
    return not (kind == "table" and name == "alembic_version")


def downgrade(connection: Connection, to: str = "base") -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.downgrade(config, to)


async def test_migrations_make_exactly_the_tables_of_the_code(database_url: str, empty_database_url: str):
    if database_url.split(":")[0] != empty_database_url.split(":")[0]:
        pytest.skip("the same kind of database is compared")
    migrated, created = Database(database_url), Database(empty_database_url)
    async with migrated.transaction() as connection:
        by_migrations = await connection.run_sync(shape)
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True, "include_object": ours}),
                TASK.metadata,
            )
        )
    async with created.transaction() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
        by_code = await connection.run_sync(shape)
    await migrated.close()
    await created.close()
    assert by_migrations == by_code
    assert differences == []
    assert len(by_code["task"]["checks"]) >= 10


async def test_migrating_again_changes_nothing(database_url: str):
    database = Database(database_url)
    await migrate(database_url)
    await check_migrated(database)
    async with database.transaction() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).all() == [
            (NEWEST,)
        ]
    await database.close()


async def test_several_processes_may_migrate_a_new_file_at_once(
    sqlite_databases: SqliteDatabases, tmp_path: Path, start: ProcessStarter
):
    """They also switch it to its write-ahead log at once, which is another lock."""
    url = sqlite_databases.create(tmp_path, empty=True)
    processes = [start.tasks_server("migrate", env={"TASKS_DATABASE_URL": url}) for _ in range(2)]
    exit_codes = await asyncio.gather(*(process.ended() for process in processes))
    assert exit_codes == [0, 0], [process.output for process in processes]
    database = Database(url)
    await check_migrated(database)
    await database.close()


async def test_several_may_migrate_at_once(empty_database_url: str):
    await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))
    database = Database(empty_database_url)
    await check_migrated(database)
    await database.close()


async def test_an_empty_database_is_refused(empty_database_url: str):
    database = Database(empty_database_url)
    with pytest.raises(ConfigurationError, match=r"is empty\. Run `tasks-server migrate` first"):
        await check_migrated(database)
    await database.close()


async def test_a_database_of_another_version_is_refused_and_left_alone(empty_database_url: str):
    await migrate(empty_database_url)
    database = Database(empty_database_url)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=f"is at migration 9999, this version needs {NEWEST}"):
        await check_migrated(database)
    with pytest.raises(ConfigurationError, match="another version"):
        await migrate(empty_database_url)
    async with database.transaction() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).all() == [
            ("9999",)
        ]
    await database.close()


async def test_every_migration_can_be_undone_and_done_again(empty_database_url: str):
    database = Database(empty_database_url)
    async with database.transaction() as connection:
        before = await connection.run_sync(shape)
    await migrate(empty_database_url)
    async with database.transaction() as connection:
        migrated = await connection.run_sync(shape)
        await connection.run_sync(downgrade)
        assert await connection.run_sync(shape) == before == {}
        if not database.is_sqlite:
            functions = "SELECT count(*) FROM pg_proc WHERE proname LIKE '%_guard'"
            assert (await connection.execute(text(functions))).scalar_one() == 0
    await migrate(empty_database_url)
    async with database.transaction() as connection:
        assert await connection.run_sync(shape) == migrated
    await database.close()


def test_there_is_one_newest_migration():
    assert ScriptDirectory(str(SCRIPTS)).get_heads() == [NEWEST]


async def test_tasks_of_the_first_version_live_on(empty_database_url: str, redis_url: str, tmp_path: Path):
    """What waits in a record of the first shape is still there to be run, with what the new shape adds."""
    await migrate(empty_database_url)
    record = Record(empty_database_url, redis_url, tmp_path)
    task = await record.create()
    async with record.database.transaction() as connection:
        await connection.run_sync(downgrade, "0001")
    await migrate(empty_database_url)
    kept = await claim(record.worker(), task)
    assert (kept.id, kept.arguments, kept.crashes, kept.max_crashes) == (task.id, task.arguments, 0, 3)
    await record.close()
