"""Workers whose clocks are wrong by minutes: leases, announcements and order follow the database's clock."""

from __future__ import annotations

import signal

from tests.crashes.house import House, completed_as
from tests.support.waiting import wait_until

MINUTES = 60.0
# Longer than any stall of a busy machine, and renewed soon.
LEASE_SECONDS = "4"
STEP = ("step begun", "step done")


async def test_work_changes_hands_between_clocks_ten_minutes_apart(house: House):
    """What a worker from the future hands back, one from the past takes at once; neither robs the other."""
    tool = house.tool("vigil", "vigil")
    _, client = await house.serve()
    ahead = await house.work(tool, clock_ahead_seconds=5 * MINUTES, lease_seconds=LEASE_SECONDS)
    await client.offers("vigil")
    jobs = [await house.submit(client, "vigil") for _ in range(3)]
    for job in jobs:
        await job.has_written("start")
    behind = await house.work(tool, clock_ahead_seconds=-5 * MINUTES, lease_seconds=LEASE_SECONDS)
    await rescues_and_renewals_pass(house, jobs[0].task_id)
    for job in jobs:
        assert (await house.story(job)).events == ["attempt"], "nobody took it for lost"

    assert await ahead.stop(signal.SIGTERM) == 0
    for job in jobs:
        job.gate.touch()
        await client.completed(job.task_id)
        assert await house.story(job) == completed_as(
            *STEP, "start", "start", "end", attempt=1, crashes=0, events=["attempt", "released", "attempt"]
        )
    assert await behind.stop(signal.SIGTERM) == 0


async def test_a_worker_from_the_past_rescues_one_from_the_future(house: House):
    tool = house.tool("vigil", "vigil")
    _, client = await house.serve()
    ahead = await house.work(tool, clock_ahead_seconds=5 * MINUTES, lease_seconds="1")
    await client.offers("vigil")
    job = await house.submit(client, "vigil")
    await job.has_written("start")
    await ahead.stop(signal.SIGKILL)
    job.gate.touch()
    await house.work(tool, clock_ahead_seconds=-5 * MINUTES)
    await client.completed(job.task_id)
    assert await house.story(job) == completed_as(
        *STEP, "start", "start", "end", attempt=1, crashes=1, events=["attempt", "lost", "attempt"]
    )


async def rescues_and_renewals_pass(house: House, task_id: str) -> None:
    """Wait for two of each, which is enough for clocks that differ by far more than a lease."""
    first = (await house.record.row(task_id))["lease_until"]

    async def renewed() -> bool:
        return (await house.record.row(task_id))["lease_until"] > first + 2500

    await wait_until(renewed, 30, describing="the lease has been renewed for a while", every=0.1)
