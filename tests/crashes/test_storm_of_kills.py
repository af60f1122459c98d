"""Workers that are killed at random moments, all at once, again and again; the books balance afterwards."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from tests.crashes.doomed import STAGES
from tests.crashes.house import House, Job

SEED = 4
TASKS = 12
WORKERS = 2
KILLS = 5


@pytest.mark.timeout(180)
async def test_a_storm_of_kills_ends_every_task_once(house: House):
    moments = random.Random(SEED)
    tool = house.tool("stages", "stages")
    _, client = await house.serve()
    client.patient = True
    workers = [await house.work(tool, concurrency=4, lease_seconds="1") for _ in range(WORKERS)]
    await client.offers("stages")
    jobs = [await house.submit(client, "stages") for _ in range(TASKS)]
    listening = asyncio.create_task(client.told_of_end(*(job.task_id for job in jobs)))
    for job in jobs[::2]:  # these may end amid the storm, the others outlast it
        job.gate.touch()

    for _ in range(KILLS):
        await asyncio.sleep(moments.uniform(0.0, 0.3))
        victim = workers.pop(moments.randrange(WORKERS))
        assert await victim.stop(signal.SIGKILL) == -signal.SIGKILL
        workers.append(await house.work(tool, concurrency=4, lease_seconds="1"))
    await jobs[1].began()
    for worker in workers:  # at the same instant
        worker.send(signal.SIGKILL)
    for job in jobs:
        job.gate.touch()
    await house.work(tool)

    assert set((await listening).values()) == {"completed"}
    lost: list[int] = []
    for job in jobs:
        task = await client.task(job.task_id)
        lost.append(await balances(house, job))
        assert await client.task(job.task_id) == task
    assert lost[1] > 0, "whoever had begun it was killed"


async def balances(house: House, job: Job) -> int:
    """One end; every attempt but the last was lost, and counted; no step again once remembered. How many were lost."""
    story = await house.story(job)
    lost = story.events.count("lost")
    assert story.status == "completed"
    assert story.attempt == story.crashes == lost
    assert story.events == [*["attempt", "lost"] * lost, "attempt"]
    steps = [int(line) for line in story.diary]
    assert steps == sorted(steps), "a step is begun only when all before it are remembered"
    assert set(steps) == set(range(STAGES))
    assert len(steps) <= STAGES + lost, "a death repeats one step at most"
    return lost
