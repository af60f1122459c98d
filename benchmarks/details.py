"""What is measured of this server alone, once: streams, growth, workers, starting, memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import psutil

from benchmarks import growth, measures, streams
from benchmarks.rounds import Effort, Figures, ground
from benchmarks.services import new_database
from benchmarks.subjects import CONCURRENCY, Ground, ours
from tests.support.servers import PostgresServer

JOB_MS = 20
STORM_CONNECTIONS = 4_000
MEGABYTE = 1e6


@dataclass(slots=True)
class Findings:
    """Sentences and figures for the report, in their order."""

    rows: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, what: str, found: str) -> None:
        self.rows.append((what, found))
        print(f"    {what}: {found}", flush=True)


Detail = Callable[[PostgresServer, Effort, Findings], Coroutine[None, None, None]]


async def jobs(server: PostgresServer, effort: Effort, findings: Findings) -> None:
    """Jobs that wait for 20 ms, and what a job that does nothing costs its worker; all of them wait in the queue."""
    ideal = CONCURRENCY * 1000 / JOB_MS
    for tool, what in (
        ("pause", f"jobs of {JOB_MS} ms at concurrency {CONCURRENCY}"),
        ("nothing", "jobs that do nothing"),
    ):
        async with ground(server, "jobs") as on, ours()(on) as running:
            await running.workers[0].stop()
            task_ids = await measures.submit_all(running.url, effort.many, tool)
            on.pulse.clear()
            counting = asyncio.ensure_future(on.pulse.count(effort.many))
            assert running.start_worker is not None
            worker = await running.start_worker()
            process = psutil.Process(worker.pid)
            await on.pulse.count(effort.many // 10)
            cpu, all_cores, began = process.cpu_times(), psutil.cpu_times(), len(on.pulse.moments)
            await asyncio.wait_for(counting, measures.SETTLE_SECONDS + effort.many / 20)
            spent = _spent(cpu, process.cpu_times()) / (effort.many - began)
            busy = _busy(all_cores, psutil.cpu_times())
            moments = sorted(on.pulse.moments)[began:]
            rate = (len(moments) - 1) / ((moments[-1] - moments[0]) / 1e9)
            share = f", {rate / ideal:.0%} of the ideal {ideal:,.0f}/s" if tool == "pause" else ""
            findings.add(
                what,
                f"{rate:,.0f}/s{share}; the worker spends {spent * 1e6:,.0f} µs of CPU a job; "
                f"{busy:.0%} of all cores are busy",
            )
            await measures.check_completed(running.url, task_ids)


async def two_workers(server: PostgresServer, effort: Effort, findings: Findings) -> None:
    for workers in (1, 2):
        async with ground(server, "workers") as on, ours(workers=workers)(on) as running:
            await measures.completed(running.url, on.pulse, 500)
            rate, _ = await measures.completed(running.url, on.pulse, effort.many)
            findings.add(f"completed with {workers} worker{'s' if workers > 1 else ''}", f"{rate:,.0f}/s")


async def open_streams(server: PostgresServer, effort: Effort, findings: Findings) -> None:
    async with ground(server, "streams") as on, ours()(on) as running:
        await measures.completed(running.url, on.pulse, 200)
        latencies = await streams.push_latencies(running, effort.samples)
        middle, most = latencies[len(latencies) // 2], latencies[-1]
        findings.add(
            "from a change to its frame, when little is going on", f"{middle:.1f} ms (at most {most:.1f} ms)"
        )
        found = await streams.open_streams(running, effort.streams)
        findings.add(
            f"{found.number:,} open streams on one server",
            f"{found.kilobytes_each:.1f} KB each; {found.rest_cpu_percent:.1f} % of a core at rest; a change is "
            f"told to half of them in {found.p50_ms:,.0f} ms, p99 {found.p99_ms:,.0f} ms, "
            f"all {found.last_ms:,.0f} ms",
        )


async def overload(server: PostgresServer, effort: Effort, findings: Findings) -> None:
    """Far more clients than can be served: who is not, is told so at once, and afterwards all is as before."""
    async with ground(server, "overload") as on, ours()(on) as running:
        before = await measures.submit(running.url, effort.seconds)
        memory = running.memory_bytes[0]
        storm = await measures.submit(running.url, 2 * effort.seconds, connections=STORM_CONNECTIONS)
        swollen = running.memory_bytes[0]
        after = await measures.submit(running.url, effort.seconds)
    findings.add(
        f"{STORM_CONNECTIONS:,} clients at once",
        f"{storm.rate:,.0f}/s submitted, {storm.wrong / storm.seconds:,.0f}/s sent away, {storm.failed} failed; "
        f"answers within {storm.p50_ms:,.0f} ms (p99 {storm.p99_ms:,.0f} ms); "
        f"{memory / MEGABYTE:.0f} MB before, {swollen / MEGABYTE:.0f} MB during",
    )
    findings.add("submitted before and after that", f"{before.rate:,.0f}/s and {after.rate:,.0f}/s")


async def beside_many(server: PostgresServer, effort: Effort, findings: Findings) -> None:
    figures = Figures()
    url = await new_database(server, "full")
    async with ground(server, "empty") as here, ground(None, "") as there:
        full_ground = Ground(there.directory, url, there.redis_url, there.pulse)
        async with ours()(here) as empty, ours()(full_ground) as full:
            began = time.monotonic()
            await growth.fill(full.url, url, effort.rows, there.pulse)
            findings.add(f"making {effort.rows:,} rows", f"{time.monotonic() - began:.0f} s")
            _, cold_here = await measures.completed(empty.url, here.pulse, measures.COLD_TASKS)
            _, cold_there = await measures.completed(full.url, there.pulse, measures.COLD_TASKS)
            cold = {growth.EMPTY: cold_here, growth.FULL: cold_there}
            for _ in range(effort.rounds):
                await growth.compare(empty, full, cold, effort.seconds, figures)
    for figure in ("submit/s", "get, cold/s"):
        ratio = figures.ratio(figure, growth.FULL, growth.EMPTY)
        assert ratio is not None
        findings.add(f"{figure} beside {effort.rows:,} rows, to an empty table", ratio.spread(2))


async def starting(server: PostgresServer, effort: Effort, findings: Findings) -> None:
    async with ground(server, "starting") as on, ours()(on) as running:
        findings.add("from the command to a server that listens", f"{running.started_seconds[0]:.2f} s")
        findings.add("from the command to a worker that works", f"{running.started_seconds[1]:.2f} s")
        before = running.memory_bytes
        await measures.completed(running.url, on.pulse, effort.hour)
        after = running.memory_bytes
        for name, at in (("server", 0), ("worker", 1)):
            found = f"{before[at] / MEGABYTE:.0f} MB at rest, {after[at] / MEGABYTE:.0f} MB after {effort.hour:,} tasks"
            findings.add(f"memory of a {name}", found)


DETAILS: tuple[Detail, ...] = (jobs, two_workers, open_streams, starting, overload, beside_many)


def _spent(before: Any, after: Any) -> float:
    return after.user + after.system - before.user - before.system


def _busy(before: Any, after: Any) -> float:
    """The share of all cores' time between two looks that was spent on something."""
    spent = {name: getattr(after, name) - getattr(before, name) for name in after._fields}
    return 1 - (spent["idle"] + spent.get("iowait", 0)) / sum(spent.values())
