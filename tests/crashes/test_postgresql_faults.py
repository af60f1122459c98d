"""PostgreSQL is restarted, crashes, drops connections, becomes read-only, or somebody sits on a lock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import psutil
import pytest
from sqlalchemy import text

from tests.crashes.doomed import STAGES
from tests.crashes.house import ON_POSTGRESQL, House, Job, completed_as
from tests.crashes.rush import AT_ONCE, rush
from tests.support.descent import descendants
from tests.support.servers import PostgresServer
from tests.support.waiting import wait_until

# Nothing here is about leases, and a loaded machine may take its time to start PostgreSQL.
PATIENT = "60"
SEED = 11
EXPIRED = "SELECT 1 FROM task WHERE id = :id AND lease_until < extract(epoch FROM clock_timestamp()) * 1000"
# The servers of these tests are quick by losing their last commits in a crash.
SAFE_COMMITS = """
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database());
    END $$
"""


@pytest.mark.parametrize("end", [PostgresServer.stop, PostgresServer.kill], ids=["restarted", "crashed"])
async def test_postgresql_comes_back(
    house_on_a_fault: tuple[House, PostgresServer], end: Callable[[PostgresServer], None]
):
    house, postgres = house_on_a_fault
    await house.record.sql(SAFE_COMMITS)
    async with rush(house, lease_seconds=PATIENT) as tasks:
        tasks.client.patient = True
        end(postgres)
        try:
            await tasks.client.misses("database")
            for job in tasks.running:
                job.gate.touch()
            during = asyncio.create_task(tasks.more())
        finally:
            postgres.start()
        await during
        await tasks.balance()


async def test_postgresql_hangs(house_on_a_fault: tuple[House, PostgresServer]):
    """Its connections stay open and say nothing: requests wait, work that has ended waits to be written."""
    house, postgres = house_on_a_fault
    async with rush(house, lease_seconds=PATIENT) as tasks:
        tasks.client.patient = True
        with standing_still(postgres):
            during = asyncio.create_task(tasks.more())
            for job in tasks.running:
                job.gate.touch()
                await job.has_written("end")
            await tasks.client.misses("database")
            assert not during.done()
        await during
        await tasks.balance()


@contextmanager
def standing_still(postgres: PostgresServer) -> Generator[None]:
    """SIGSTOP for all its processes."""
    main = psutil.Process(postgres.pid)
    processes = [main, *descendants(main.pid)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@ON_POSTGRESQL
async def test_connections_end_at_random_moments(house: House):
    """No step is taken twice, no log line is lost, and nobody has to start again."""
    moments = random.Random(SEED)
    _, client = await house.serve()
    client.patient = True
    await house.work(house.tool("stages", "stages"), concurrency=AT_ONCE, lease_seconds=PATIENT)
    await client.offers("stages")
    jobs = [await house.submit(client, "stages") for _ in range(2 * AT_ONCE)]
    listening = asyncio.create_task(client.told_of_end(*(job.task_id for job in jobs)))
    for job in jobs:
        job.gate.touch()
    for _ in range(12):
        await asyncio.sleep(moments.uniform(0.01, 0.15))
        await end_connections(house)
    for job in jobs:
        await client.completed(job.task_id)
        assert (await house.story(job)) == completed_as(
            *map(str, range(STAGES)), attempt=0, crashes=0, events=["attempt"]
        )
        events = await house.looked(partial(house.record.events, job.task_id))
        assert [body["data"] for kind, body in events if kind == "log"] == list(range(STAGES))
    assert len(await listening) == len(jobs)


async def test_postgresql_is_read_only_for_a_while(house_on_a_fault: tuple[House, PostgresServer]):
    """As after a fail-over to a standby: what is done already waits to be written, and is not lost."""
    house, _ = house_on_a_fault
    async with rush(house, lease_seconds=PATIENT) as tasks:
        await read_only(house, "on")
        try:
            for job in tasks.running:
                job.gate.touch()
                await job.has_written("end")
                assert await tasks.client.status(job.task_id) == "working"
            with pytest.raises(AssertionError, match="try again soon"):
                await tasks.submit(1)
        finally:
            await read_only(house, "off")
        await tasks.balance()


async def read_only(house: House, value: str) -> None:
    """For the whole server, from the next statement on."""
    async with house.record.database.reading() as connection:  # a read-only transaction may do this too
        await connection.execute(text(f"ALTER SYSTEM SET default_transaction_read_only = {value}"))
        await connection.execute(text("SELECT pg_reload_conf()"))


@ON_POSTGRESQL
@pytest.mark.parametrize("everything", [False, True], ids=["one row", "all rows"])
async def test_somebody_sits_on_the_rows_of_running_tasks(house: House, everything: bool):
    """For longer than a lease: they stay with their worker, which goes on, and nothing is counted."""
    async with rush(house, lease_seconds="1") as tasks:
        stuck = tasks.running if everything else tasks.running[:1]
        async with locked(house, [job.task_id for job in stuck]):
            for job in stuck:
                await lease_ran_out(house, job)
            for job in tasks.running:
                assert await tasks.client.status(job.task_id) == "working"
            # Two leases long: rescues have been tried, and must not have had an effect.
            await has_renewed_itself(house, times=6)
        await tasks.balance()


@asynccontextmanager
async def locked(house: House, task_ids: list[str]) -> AsyncGenerator[None]:
    """Hold the rows' locks, as a forgotten session would."""
    async with house.record.database.transaction() as connection:
        await connection.execute(
            text("SELECT 1 FROM task WHERE id = ANY(:ids) FOR UPDATE"), {"ids": task_ids}
        )
        yield


async def has_renewed_itself(house: House, times: int) -> None:
    """The worker, whose rows nobody has locked, has said so often that it lives."""
    seen: set[int] = set()

    async def enough() -> bool:
        seen.add((await house.record.sql("SELECT max(renewed_at) FROM worker"))[0][0])
        return len(seen) > times

    await wait_until(enough, 20, describing=f"{times} renewals of the worker")


async def lease_ran_out(house: House, job: Job) -> None:
    async def has_run_out() -> bool:
        return bool(await house.record.sql(EXPIRED, id=job.task_id))

    await wait_until(has_run_out, 20, describing=f"the end of the lease of {job.task_id}")


async def end_connections(house: House) -> None:
    await house.looked(
        partial(
            house.record.sql,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
    )
