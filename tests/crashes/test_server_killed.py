"""`kill -9` of a server at exact instants: what it had committed goes on without it, and another answers for it."""

from __future__ import annotations

import signal

import httpx2
import pytest

from tests.crashes.client import Client
from tests.crashes.house import House, Job, completed_as
from tests.store.record import OWNER
from tests.support.processes import Started

ONCE = completed_as("step begun", "step done", "start", "end", attempt=0, crashes=0, events=["attempt"])


async def dying(house: House, instant: str) -> tuple[Started, Client]:
    """A server that dies at this instant."""
    server, client = await house.serve(dies_at=instant)
    await client.offers("vigil")
    return server, client


async def unanswered(server: Started, client: Client, tool: str, house: House) -> Job | None:
    """Submit to a server that dies of it: the task that it recorded, whose id nobody was told."""
    diary, gate = house.paths(tool)
    gate.touch()
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.submit(tool, diary=str(diary), gate=str(gate))
    assert await server.ended() == -signal.SIGKILL
    rows = await house.record.sql("SELECT id FROM task WHERE owner = :owner", owner=OWNER)
    return Job(rows[0].id, diary, gate) if rows else None


@pytest.mark.parametrize("instant", ["submission committed, not queued", "submission queued, not answered"])
async def test_a_committed_task_runs_without_the_server_that_took_it(house: House, instant: str):
    _, other = await house.serve()
    await house.work(house.tool("vigil", "vigil"))
    job = await unanswered(*await dying(house, instant), "vigil", house)
    assert job is not None
    await other.completed(job.task_id)
    assert await house.story(job) == ONCE


async def test_a_task_that_was_not_committed_never_was(house: House):
    await house.work(house.tool("vigil", "vigil"))
    assert await unanswered(*await dying(house, "submission not committed"), "vigil", house) is None


async def test_an_answer_moves_its_task_on_although_its_server_died(house: House):
    _, other = await house.serve()
    await house.work(house.tool("vigil", "inquiry"))
    job = await house.submit(other, "vigil")
    await house.parked(job)
    server, client = await dying(house, "answer committed, not queued")
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.accept(job.task_id)
    assert await server.ended() == -signal.SIGKILL
    await other.completed(job.task_id)
    assert (await house.story(job)).events == ["attempt", "question", "parked", "answer", "attempt"]


async def test_a_cancel_reaches_the_worker_although_its_server_died(house: House):
    """Nobody nudges the worker; it sees the wish when it renews its lease."""
    _, other = await house.serve()
    await house.work(house.tool("vigil", "vigil"), lease_seconds="3")
    job = await house.submit(other, "vigil")
    await job.has_written("start")
    server, client = await dying(house, "cancel committed, worker not nudged")
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.cancel(job.task_id)
    assert await server.ended() == -signal.SIGKILL
    assert (await other.ended(job.task_id))["status"] == "cancelled"
    job.gate.touch()
    assert (await house.story(job)).crashes == 0
