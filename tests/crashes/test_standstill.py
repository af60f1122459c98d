"""A worker that stands still: it is overtaken, and when it goes on it changes nothing and stops what it has lost."""

from __future__ import annotations

import contextlib
import signal
import sqlite3

from tests.crashes.house import ON_SQLITE, House
from tests.store.record import Record
from tests.support.processes import Started
from tests.support.waiting import wait_until
from workers.stall import STALLED


async def test_a_worker_that_was_paused_past_its_lease_finishes_nothing_and_stops(house: House):
    tools = [house.tool("sentry", "sentry"), house.tool("vigil", "vigil")]
    _, client = await house.serve()
    late = await house.work(*tools, lease_seconds="3")
    await client.offers("sentry", "vigil")
    held, ended = await house.submit(client, "sentry"), await house.submit(client, "vigil")
    for job in (held, ended):
        await job.has_written("start")
    await pause_between_writes(late, house)
    await house.work(*tools, lease_seconds="30")

    def run_again() -> bool:
        return all(job.diary.count("start") >= 2 for job in (held, ended))

    await wait_until(run_again, 30, describing="the second runs")
    ended.gate.touch()
    before = await client.ended(ended.task_id)

    late.send(signal.SIGCONT)
    await held.has_written("stopped")
    assert (await house.record.row(held.task_id))["attempt"] == 1
    held.gate.touch()
    await client.completed(held.task_id)
    assert await late.stop(signal.SIGTERM) == 0, "it has come to itself"
    assert "stood still" in late.output

    assert held.diary == ["start", "start", "stopped", "end"]
    assert await client.task(ended.task_id) == before
    assert (await house.story(held)).attempt == 1
    progress = [
        body["status_message"] for kind, body in await house.record.events(held.task_id) if kind == "progress"
    ]
    overtaken = progress.index("attempt 1")
    assert "attempt 0" not in progress[overtaken:]


async def pause_between_writes(worker: Started, house: House) -> None:
    """SQLite cannot take its one lock away from a process that is paused while it holds it."""

    async def paused() -> bool:
        worker.send(signal.SIGSTOP)
        if await is_writable(house.record):
            return True
        worker.send(signal.SIGCONT)
        return False

    await wait_until(paused, 30, describing="the worker is paused while it writes nothing")


async def is_writable(record: Record) -> bool:
    if not record.database.is_sqlite:
        return True
    path = record.database_url.partition("///")[2]
    with contextlib.closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


async def test_a_tool_that_blocks_is_named_and_its_worker_goes_on(house: House):
    # Not `sentry`: a report that is half committed when the loop stops would lock SQLite's file, also for the evidence.
    tools = [house.tool("blockade", "blockade"), house.tool("vigil", "vigil")]
    _, client = await house.serve()
    blocked = await house.work(*tools, lease_seconds="3", stall_warning_leases="0.3")
    await client.offers("blockade", "vigil")
    other = await house.submit(client, "vigil")
    await other.has_written("start")
    job = await house.submit(client, "blockade")
    await blocked.line(rf"blocked for .* by task {job.task_id}")
    assert "doomed.py" in blocked.output
    assert "time.sleep" in blocked.output

    async def evidence() -> str | None:
        lines = [body for kind, body in await house.record.events(job.task_id) if kind == "log"]
        return lines[0]["data"] if lines else None

    assert "time.sleep" in str(await wait_until(evidence, 20, describing="the evidence in the event log"))
    job.gate.touch()
    await blocked.line("turns again")
    await client.completed(job.task_id)
    other.gate.touch()
    await client.completed(other.task_id)
    assert blocked.exit_code is None


@ON_SQLITE
async def test_a_worker_that_stays_blocked_ends_itself(house: House):
    tool = house.tool("blockade", "blockade")
    _, client = await house.serve()
    blocked = await house.work(tool, lease_seconds="0.5")
    await client.offers("blockade")
    job = await house.submit(client, "blockade")
    await job.began()
    assert await blocked.ended(30) == STALLED
    assert "gives up" in blocked.output
    assert "Current thread" in blocked.output or "Thread 0x" in blocked.output, "the stacks of all threads"
    job.gate.touch()
    await house.work(tool, lease_seconds="0.5")
    await client.completed(job.task_id)
    assert (await house.story(job)).crashes == 1
