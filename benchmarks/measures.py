"""What is measured of every subject, in the same way."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.connection import Connection, WrongAnswer
from benchmarks.load import Load, press
from benchmarks.messages import call, get
from benchmarks.pulse import Pulse

CONNECTIONS = 32
LONG_MS = 600_000
POLL_SECONDS = 0.001
IDLE_SECONDS = 0.03
COLD_TASKS = 1000
SETTLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Idle:
    """Milliseconds from one submission to the start of its tool and to its end as seen by `tasks/get`."""

    started_ms: float
    completed_ms: float


async def submit(url: str, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Calls of a tool that only waits, so that the workers have nothing to do for them."""
    message = call("pause", {"milliseconds": LONG_MS})
    return await press(
        url, [message], expecting='"status":"working"', seconds=seconds, connections=connections
    )


async def get_hot(url: str, task_id: str, seconds: float) -> Load:
    """Everybody asks for the same task, which has completed."""
    return await get_any(url, [task_id], "completed", seconds)


async def get_cold(url: str, task_ids: Sequence[str], seconds: float) -> Load:
    """One of many completed tasks after the other."""
    return await get_any(url, task_ids, "completed", seconds)


async def get_any(url: str, task_ids: Sequence[str], status: str, seconds: float) -> Load:
    messages = [get(task_id) for task_id in task_ids]
    expecting = f'"status":"{status}"'
    return await press(url, messages, expecting=expecting, seconds=seconds, connections=CONNECTIONS)


async def completed(url: str, pulse: Pulse, number: int, tool: str = "nothing") -> tuple[float, list[str]]:
    """Tasks per second, from the first submission to the run of the last tool; and their ids, all completed."""
    pulse.clear()
    began = time.monotonic_ns()
    counting = asyncio.ensure_future(pulse.count(number))
    task_ids = await submit_all(url, number, tool)
    await asyncio.wait_for(counting, SETTLE_SECONDS + number / 20)
    rate = number / ((max(pulse.moments) - began) / 1e9)
    await check_completed(url, task_ids)
    return rate, task_ids


async def idle(url: str, pulse: Pulse, samples: int) -> Idle:
    """One task at a time, while nothing else is going on."""
    connection = Connection(url)
    started: list[float] = []
    ended: list[float] = []
    try:
        for number in range(samples):
            await asyncio.sleep(IDLE_SECONDS)
            pulse.clear()
            began = time.monotonic_ns()
            handle = await connection.result(call("nothing", {"number": number}))
            await until_completed(connection, handle["taskId"])
            ended.append((time.monotonic_ns() - began) / 1e6)
            started.append((pulse.moments[0] - began) / 1e6)
    finally:
        connection.close()
    return Idle(statistics.median(started), statistics.median(ended))


async def until_completed(connection: Connection, task_id: str) -> None:
    """Ask until the task has completed. Raises WrongAnswer if it ends otherwise."""
    while True:
        task = await connection.result(get(task_id))
        if task["status"] == "completed":
            return
        if task["status"] != "working":
            raise WrongAnswer(f"the task is {task['status']}: {task}")
        await asyncio.sleep(POLL_SECONDS)


async def submit_all(url: str, number: int, tool: str) -> list[str]:
    """The ids of so many tasks, submitted over all connections."""
    numbers = iter(range(number))
    name = {"nothing": "number", "pause": "milliseconds"}[tool]
    value = {"nothing": None, "pause": 20}[tool]

    async def client() -> list[str]:
        connection = Connection(url)
        try:
            return [
                (await connection.result(call(tool, {name: each if value is None else value})))["taskId"]
                for each in numbers
            ]
        finally:
            connection.close()

    made = await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return [task_id for part in made for task_id in part]


async def check_completed(url: str, task_ids: Sequence[str]) -> None:
    """Wait until all of them have completed."""
    waiting = iter(task_ids)

    async def client() -> None:
        connection = Connection(url)
        try:
            for task_id in waiting:
                await until_completed(connection, task_id)
        finally:
            connection.close()

    async with asyncio.timeout(SETTLE_SECONDS + len(task_ids) / 20):
        await asyncio.gather(*(client() for _ in range(8)))
