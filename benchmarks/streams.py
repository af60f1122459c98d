"""Open streams: what they cost, and how soon they tell."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil

from benchmarks.connection import Connection, WrongAnswer
from benchmarks.load import allow_files
from benchmarks.measures import LONG_MS
from benchmarks.messages import call, cancel, listen
from benchmarks.subjects import Running

OPENED_AT_ONCE = 100
REST_SECONDS = 10.0
CHANGED = "notifications/tasks"
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Streams:
    """Of so many open streams: memory of the server for each, its load at rest, and one change told to all."""

    number: int
    kilobytes_each: float
    rest_cpu_percent: float
    p50_ms: float
    p99_ms: float
    last_ms: float


async def open_streams(running: Running, number: int) -> Streams:
    """All of them listen to one task, which is then cancelled. The clock begins when that is sent."""
    allow_files(number + 500)
    server = psutil.Process(running.servers[0].pid)
    connection = Connection(running.url)
    task_id: str = (await connection.result(call("pause", {"milliseconds": LONG_MS})))["taskId"]
    before = running.memory_bytes[0]
    told: list[float] = []
    opened = asyncio.Semaphore(OPENED_AT_ONCE)
    listening = [asyncio.Event() for _ in range(number)]

    async def follow(is_open: asyncio.Event) -> None:
        stream = Connection(running.url)
        async with opened:
            events = stream.events(listen([task_id]))
            await anext(events)
            is_open.set()
        async for event in events:
            if event["method"] == CHANGED and event["params"]["status"] == "cancelled":
                told.append(time.monotonic())
                break
        stream.close()

    async with asyncio.timeout(TIMEOUT_SECONDS + number / 50):
        following = [asyncio.create_task(follow(each)) for each in listening]
        await asyncio.gather(*(each.wait() for each in listening))
        await asyncio.sleep(1.0)
        each = (running.memory_bytes[0] - before) / number
        rest = await _cpu_percent(server, REST_SECONDS)
        connection.close()  # the server would not have kept it open for so long
        began = time.monotonic()
        await connection.result(cancel(task_id))
        await asyncio.gather(*following)
    connection.close()
    took = sorted((at - began) * 1000 for at in told)
    return Streams(number, each / 1000, rest, took[number // 2], took[int(number * 0.99)], took[-1])


async def push_latencies(running: Running, samples: int) -> list[float]:
    """Milliseconds from the change in the record, by its own clock, to its frame at the client; sorted.

    The record's clock counts whole milliseconds, so each may be up to one too long.
    """
    connection, found = Connection(running.url), list[float]()
    for _ in range(samples):
        task_id = (await connection.result(call("pause", {"milliseconds": 50})))["taskId"]
        stream = Connection(running.url)
        async for event in stream.events(listen([task_id])):
            if event["method"] == CHANGED and event["params"]["status"] == "completed":
                found.append(time.time() * 1000 - _milliseconds(event["params"]["lastUpdatedAt"]))
                break
        stream.close()
    connection.close()
    if len(found) != samples:
        raise WrongAnswer("a stream has ended before its task")
    return sorted(found)


def _milliseconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp() * 1000


async def _cpu_percent(process: Any, seconds: float) -> float:
    before = process.cpu_times()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / seconds * 100
