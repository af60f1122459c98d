"""Another process sits on SQLite's only write lock, or its disk is full: reads go on, writes wait, nothing is lost."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import sys
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.crashes.house import ON_SQLITE, House
from tests.crashes.rush import rush
from tests.support.processes import Started

PATIENT = "60"


@contextmanager
def write_locked(house: House) -> Generator[None]:
    with closing(sqlite3.connect(database_file(house), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def database_file(house: House) -> Path:
    return Path(str(make_url(house.record.database_url).database))


@ON_SQLITE
async def test_a_short_lock_delays_writes_and_no_reads(house: House):
    """A backup, or somebody with a shell."""
    async with rush(house, lease_seconds=PATIENT) as tasks:
        with write_locked(house):
            during = asyncio.create_task(tasks.more())
            for job in tasks.running:
                job.gate.touch()
                await job.has_written("end")
                assert await tasks.client.status(job.task_id) == "working"
            assert not during.done()
        await during
        await tasks.balance()


@ON_SQLITE
@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_lock_that_outlasts_every_patience(house: House):
    """The server says that it cannot; what had been accepted is done when the lock is gone."""
    async with rush(house, lease_seconds="4") as tasks:
        with write_locked(house), pytest.raises(AssertionError, match="try again soon"):
            await tasks.submit(1)
        await tasks.complete(tasks.jobs)
        for job in tasks.jobs:
            assert job.diary.count("step done") == 1


@ON_SQLITE
@pytest.mark.skipif(sys.platform != "linux", reason="only there can one process limit another's files")
async def test_the_disk_is_full_for_a_while(house: House):
    """Made with RLIMIT_FSIZE: no file of these processes can grow."""
    async with rush(house, lease_seconds=PATIENT) as tasks:
        with full_disk(house, tasks.processes):
            for job in tasks.running:
                job.gate.touch()
                await job.has_written("end")
                assert await tasks.client.status(job.task_id) == "working"
        tasks.waiting += await tasks.submit(1)
        await tasks.balance()


@ON_SQLITE
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only there can one process limit another's files")
async def test_the_disk_is_full_for_longer_than_a_server_is_patient(house: House):
    async with rush(house, lease_seconds=PATIENT) as tasks:
        with full_disk(house, tasks.processes), pytest.raises(AssertionError, match="try again soon"):
            await tasks.submit(1)
        tasks.waiting += await tasks.submit(1)
        await tasks.balance()


@contextmanager
def full_disk(house: House, processes: Iterable[Started]) -> Generator[None]:
    """The write-ahead log cannot grow any more; smaller files still can."""
    log = database_file(house).with_name("tasks.db-wal")
    for process in processes:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))
    yield
    for process in processes:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
