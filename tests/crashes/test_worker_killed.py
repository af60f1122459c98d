"""`kill -9` of a worker at exact instants; an ordinary worker takes over. What was remembered is not done again."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.crashes.client import Client
from tests.crashes.house import ON_SQLITE, House, Job, Story, completed_as
from tests.crashes.instants import IN_STEP
from tests.support.processes import Started, all_gone

# SQLite has one writer at a time, and with a short lease each of them writes often.
WORKERS_AT_ONCE = 5
# Longer than any stall of a busy machine: nobody is to lose a lease before it dies.
LEASE_SECONDS = "3"
TWICE = ("start", "start")
STEP = ("step begun", "step done")
LOST = ["attempt", "lost", "attempt"]


def lost(*diary: str) -> Story:
    """The lease ran out, which is counted once, and the next attempt came to the end."""
    return completed_as(*diary, attempt=1, crashes=1, events=LOST)


def asked(*events: str) -> Story:
    """A question keeps: the death of whoever asked it costs nothing, and it is not asked again."""
    diary = ("start", *STEP, "start", "end")
    return completed_as(
        *diary, attempt=1, crashes=0, events=["attempt", "question", *events, "answer", "attempt"]
    )


# What becomes of a task whose worker dies at that instant.
LABOUR: dict[str, Story] = {
    "job picked, not claimed": completed_as("start", *STEP, "end", attempt=0, crashes=0, events=["attempt"]),
    "claim committed, not announced": lost("start", *STEP, "end"),
    "claimed, tool not started": lost("start", *STEP, "end"),
    "in the tool": lost(*TWICE, *STEP, "end"),
    IN_STEP: lost("start", "step begun", "start", *STEP, "end"),
    "step done, not remembered": lost("start", *STEP, "start", *STEP, "end"),
    "step remembered": lost("start", *STEP, "start", "end"),
    "depositing an artifact": lost("start", *STEP, "start", "end"),
    "artifact deposited, not recorded": lost("start", *STEP, "start", "end"),
    "result not committed": lost("start", *STEP, "end", "start", "end"),
    "end committed, not announced": completed_as(
        "start", *STEP, "end", attempt=0, crashes=0, events=["attempt"]
    ),
}
INQUIRY: dict[str, Story] = {
    "asked, not parked": asked("lost"),
    "parked, tool not told": asked("parked"),
    "parked": asked("parked"),
}
VIGIL: dict[str, Story] = {
    "handing back": lost(*STEP, "start", "start", "end"),
    "handed back, not announced": completed_as(
        *STEP, "start", "start", "end", attempt=1, crashes=0, events=["attempt", "released", "attempt"]
    ),
}
EVERY_INSTANT = {
    **dict.fromkeys(LABOUR, "labour"),
    **dict.fromkeys(INQUIRY, "inquiry"),
    **dict.fromkeys(VIGIL, "vigil"),
}
STORIES = {**LABOUR, **INQUIRY, **VIGIL}


@pytest.mark.timeout(180)
async def test_a_worker_killed_at_any_instant_loses_nothing(house: House, subtests: pytest.Subtests):
    tools = {
        instant: house.tool(re.sub(r"\W+", "_", instant), function)
        for instant, function in EVERY_INSTANT.items()
    }
    _, client = await house.serve()
    jobs: dict[str, Job] = {}
    for some in batched(tools, WORKERS_AT_ONCE):
        jobs |= await doomed_jobs(house, client, {instant: tools[instant] for instant in some})
    await house.work(*tools.values())
    await asyncio.gather(*(agree(house, client, jobs[instant]) for instant in INQUIRY))

    for instant, job in jobs.items():
        with subtests.test(instant):
            await tells(house, client, job, STORIES[instant])


async def doomed_jobs(house: House, client: Client, tools: dict[str, Path]) -> dict[str, Job]:
    """A task for each instant, alone on its queue, and a worker that died of it."""
    workers = await asyncio.gather(
        *(house.work(tool, dies_at=instant, lease_seconds=LEASE_SECONDS) for instant, tool in tools.items())
    )
    await client.offers(*(tool.stem for tool in tools.values()))
    jobs = {instant: await house.submit(client, tool.stem) for instant, tool in tools.items()}
    await asyncio.gather(*(died(*each) for each in zip(jobs, workers, jobs.values(), strict=True)))
    return jobs


def batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    left = iter(names)
    while batch := list(islice(left, size)):
        yield batch


async def died(instant: str, worker: Started, job: Job) -> None:
    """Give the worker every occasion, and see it die."""
    if instant in VIGIL:
        await job.has_written("start")
        worker.send(signal.SIGTERM)
    assert await worker.ended(30) == -signal.SIGKILL, worker.output
    job.gate.touch()


async def agree(house: House, client: Client, job: Job) -> None:
    """Answer what the task asks, once nobody holds it any more."""
    await house.parked(job)
    await client.accept(job.task_id)


async def tells(house: House, client: Client, job: Job, expected: Story) -> None:
    task = await client.ended(job.task_id)
    assert await house.story(job) == expected
    assert task["result"]["content"][0]["text"] == "done"
    assert await client.task(job.task_id) == task, "an end does not change"


@ON_SQLITE
async def test_the_process_of_a_tool_dies_with_its_worker(house: House):
    tool = house.tool("toil", "toil", in_process=True)
    _, client = await house.serve()
    worker = await house.work(tool, lease_seconds="1")
    await client.offers("toil")
    job = await house.submit(client, "toil")
    await job.began()
    (process,) = (int(line.removeprefix("process ")) for line in job.diary)
    assert process in [child.pid for child in worker.descendants()]

    await worker.stop(signal.SIGKILL)
    await all_gone([process])
    job.gate.touch()
    await house.work(tool)

    await client.completed(job.task_id)
    assert (await house.story(job)).events == LOST
    assert [line.split()[0] for line in job.diary] == ["process", "process", "end"]
