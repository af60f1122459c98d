"""What a server says about itself, and why a task waits: as the record, the bus and the workers really are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks_server.catalog import Catalog
from tasks_server.defects import Defects
from tasks_server.manifest import Manifest, ToolOffer
from tasks_server.readiness import Readiness, readiness
from tasks_server.store.condition import Condition, condition_of
from tasks_server.store.database import Database
from tasks_server.waiting import REDIS_GONE, Waiting
from tests.store.record import Record, claim, opened
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until

LEASE_MS = 15_000


@pytest.fixture
async def catalog(record: Record) -> Catalog:
    await record.start()
    return catalog_of(record)


def catalog_of(record: Record) -> Catalog:
    return Catalog(record.roster, record.bus, live_within_ms=LEASE_MS, absence_ms=3_600_000)


async def enter(record: Record, worker_id: str = "w") -> None:
    tool = ToolOffer(name="convert", description="x", input_schema={"type": "object"}, queue="default")
    manifest = Manifest(tools=(tool,))
    await record.roster.enter(worker_id, host="here", pid=1, concurrency=1, manifest=manifest)


async def age(record: Record, worker_id: str, column: str, by_ms: int) -> None:
    await record.sql(f"UPDATE worker SET {column} = {column} - :by WHERE id = :id", by=by_ms, id=worker_id)


async def look(record: Record, catalog: Catalog, defects: Defects | None = None) -> Readiness:
    await catalog.load()
    return await readiness(record.database, record.bus, catalog, defects or Defects())


async def test_all_is_well(record: Record, catalog: Catalog):
    await enter(record)
    assert (await look(record, catalog)).as_object() == {
        "ready": True,
        "database": True,
        "redis": True,
        "workers": True,
        "states": {"database": "ok", "redis": "ok", "workers": "ok", "maintenance": "ok", "breakers": "ok"},
        "problems": [],
    }


async def test_no_worker_and_one_that_takes_nothing_are_told_apart(record: Record, catalog: Catalog):
    waiting = Waiting(catalog, record.bus)
    task = await record.create()
    found = await look(record, catalog)
    assert (found.is_ready, found.states["workers"], len(found.problems)) == (True, "none", 1)
    assert waiting.why(task) == "No worker that runs convert is connected at the moment."

    await enter(record)
    await record.roster.renew("w", picked_ago_ms=100)
    assert (await look(record, catalog)).states["workers"] == "ok"
    assert waiting.why(task) is None

    await record.roster.renew("w", picked_ago_ms=LEASE_MS + 1)
    found = await look(record, catalog)
    assert (found.is_ready, found.states["workers"]) == (True, "not_claiming")
    assert found.as_object()["workers"] is False
    assert waiting.why(task) == "The workers that run convert are connected, but take no work at the moment."

    await enter(record, "another")
    assert (await look(record, catalog)).states["workers"] == "ok", "one that works is enough"


async def test_a_worker_that_is_silent_is_not_taken_for_idle(record: Record, catalog: Catalog):
    await enter(record)
    await record.roster.renew("w", picked_ago_ms=0)
    for column in ("renewed_at", "picked_at"):
        await age(record, "w", column, LEASE_MS - 1_000)
    assert (await look(record, catalog)).states["workers"] == "ok"
    await age(record, "w", "renewed_at", 5_000)
    assert (await look(record, catalog)).states["workers"] == "none"


async def test_defects_of_this_server_and_of_workers_show(record: Record, catalog: Catalog):
    await enter(record)
    await record.roster.renew("w", picked_ago_ms=0, trouble="maintenance (expire): no such column")
    defects = Defects()
    defects.met("the catalog", ValueError("odd"))
    found = await look(record, catalog, defects)
    assert (found.is_ready, found.states["maintenance"]) == (True, "failing")
    assert found.problems == [
        "the catalog: ValueError: odd",
        "Worker w: maintenance (expire): no such column",
    ]
    await record.roster.renew("w", picked_ago_ms=0)
    assert (await look(record, catalog)).problems == []


async def test_an_open_breaker_shows_and_the_server_stays_ready(record: Record, catalog: Catalog):
    await enter(record)
    worker = record.worker()
    for failures in range(1, 6):
        task = await claim(worker, await record.create())
        assert (await look(record, catalog)).states["breakers"] == "ok", f"{failures} failures are too few"
        await record.failures(worker).retry(task, "The archive is busy.", 3_600_000)
    found = await look(record, catalog)
    assert (found.is_ready, found.states["breakers"], len(found.problems)) == (True, "open", 1)
    said = "convert has failed 5 times in a row (last: The archive is busy); its tasks wait until 2"
    assert found.problems[0].startswith(said)
    await record.sql("UPDATE breaker SET open_until = open_until - 100000000")
    assert (await look(record, catalog)).problems == [
        "convert has failed 5 times in a row (last: The archive is busy); the next of its tasks tries it again."
    ]


async def test_a_redis_that_is_gone_is_said_to_whoever_waits(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
):
    async with opened(database_url, valkey.url, tmp_path / "artifacts") as record:
        await record.start()
        catalog = catalog_of(record)
        await enter(record)
        valkey.kill()
        await wait_until(lambda: not record.bus.connected.is_set(), describing="the loss is noticed")
        found = await look(record, catalog)
        assert (found.is_ready, found.states["redis"], found.as_object()["redis"]) == (True, "gone", False)
        task = await record.create()
        assert Waiting(catalog, record.bus).why(task) == REDIS_GONE


async def test_only_what_waits_is_explained_and_the_record_stays_as_it_is(record: Record, catalog: Catalog):
    waiting = Waiting(catalog, record.bus)
    task = await record.create(status_message="The worker was lost; waiting for another one")
    shown = waiting.explained(task)
    assert shown.status_message == (
        "The worker was lost; waiting for another one. No worker that runs convert is connected at the moment."
    )
    assert (shown.updated_at, shown.revision) == (task.updated_at, task.revision)
    assert await record.task(task.id) == task
    held = await claim(record.worker(), task)
    assert waiting.explained(held) == held
    done = await record.finished()
    assert waiting.explained(done) == done


# --- the database --------------------------------------------------------------------------------------------


async def test_an_empty_database_is_no_database(empty_database_url: str):
    database = Database(empty_database_url)
    condition, problem = await condition_of(database)
    await database.close()
    assert condition is Condition.EMPTY
    assert "tasks-server migrate" in problem


@pytest.mark.parametrize(
    ("migration", "condition", "serves"), [("0001", Condition.BEHIND, False), ("9999", Condition.AHEAD, True)]
)
async def test_a_database_of_another_version(
    empty_database_url: str, migration: str, condition: Condition, serves: bool
):
    """Ahead is what every server is in the middle of a rolling upgrade: it goes on serving."""
    database = Database(empty_database_url)
    for statement in (
        "CREATE TABLE alembic_version (version_num TEXT)",
        f"INSERT INTO alembic_version VALUES ('{migration}')",
    ):
        async with database.transaction() as connection:
            await connection.exec_driver_sql(statement)
    found, problem = await condition_of(database)
    await database.close()
    assert (found, found.can_serve) == (condition, serves)
    assert migration in problem


async def test_a_postgresql_that_only_reads(postgresql_url: str):
    database = Database(postgresql_url)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("SET default_transaction_read_only = on")
    found, problem = await condition_of(database)
    await database.close()
    assert (found, found.can_serve) == (Condition.READ_ONLY, False)
    assert "not written" in problem


async def test_a_database_that_does_not_answer(tmp_path: Path):
    database = Database(f"postgresql+asyncpg://nobody@/nothing?host={tmp_path}")
    found, problem = await condition_of(database)
    await database.close()
    assert found is Condition.UNREACHABLE
    assert problem.startswith("The database is not reachable: ")


# In a process of its own, because root may write whatever the mode of a file says, and cannot be root again.
LOOK_WITHOUT_LEAVE_TO_WRITE = """
import asyncio, os, sys
from tasks_server.store.condition import condition_of
from tasks_server.store.database import Database

async def main(url, path):
    database = Database(url)
    before = await condition_of(database)
    os.chmod(path, 0o444)
    if os.getuid() == 0:
        os.setuid(65534)
    after = await condition_of(database)
    print(before[0].name, after[0].name, flush=True)
    os._exit(0)  # there may be no leave to import what an orderly end needs

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_sqlite_file_that_cannot_be_written(sqlite_url: str):
    path = sqlite_url.partition(":///")[2]
    command = [sys.executable, "-c", LOOK_WITHOUT_LEAVE_TO_WRITE, sqlite_url, path]
    looked = subprocess.run(command, capture_output=True, text=True)
    assert looked.returncode == 0, looked.stderr
    assert looked.stdout.split() == [Condition.OK.name, Condition.READ_ONLY.name]
