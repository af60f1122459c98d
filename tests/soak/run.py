"""One soak from beginning to end: break, settle, check, count."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.soak import audit, books
from tests.soak.agents import PATIENCE_SECONDS, Agent
from tests.soak.books import Evidence
from tests.soak.fleet import Fleet, running
from tests.soak.memory import Complaint, Memory
from tests.soak.monkey import Fault, Monkey
from tests.soak.settling import settle
from tests.soak.wire import Wire

AGENTS = 12
LEASE_SECONDS = 3.0
REQUEST_SECONDS = 10.0
PROGRESS_EVERY_SECONDS = 15.0
# Far below what two busy cores manage between two faults, and far above a system that stands still.
TASKS_PER_SECOND = 0.5


@dataclass
class Outcome:
    """What a soak has found. books: by the name of each book, what does not balance."""

    faults: list[Fault]
    memory: Memory
    books: dict[str, list[Complaint]]
    ends: Counter[str]
    attempts: Counter[int]
    completed_at: list[float]
    overrun_seconds: list[float]
    settled_seconds: float
    histories: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def balances(self) -> bool:
        return not any(self.books.values())


async def soak(directory: Path, database: str, seed: int, seconds: float) -> Outcome:
    """Let clients and a monkey loose on a fleet for so many seconds, then balance the books."""
    memory = Memory()
    async with running(directory, database, LEASE_SECONDS) as fleet:
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=50)
        async with httpx2.AsyncClient(timeout=REQUEST_SECONDS, limits=limits) as http:
            monkey = Monkey(fleet, random.Random(f"monkey {seed}"))
            wires = [
                Wire(http, fleet.urls, memory, random.Random(f"wire {seed} {n}")) for n in range(AGENTS + 1)
            ]
            agents = [Agent(n, wires[n], memory, random.Random(f"agent {seed} {n}")) for n in range(AGENTS)]
            began_at = time.time()
            await _let_loose(fleet, monkey, agents, memory, seconds)
            progress = _progress(memory, began_at, seconds)
            began_settling = time.time()
            at_rest = await settle(fleet, wires[-1])
            settled_seconds = time.time() - began_settling
            outcome = await _balance(fleet, memory, monkey, wires[-1], settled_seconds)
            outcome.books["stood still"] = progress
            if not at_rest:
                outcome.books["unfinished"].append(Complaint("did not come to rest"))
    return outcome


async def _let_loose(
    fleet: Fleet, monkey: Monkey, agents: list[Agent], memory: Memory, seconds: float
) -> None:
    stopping = asyncio.Event()
    watching = asyncio.create_task(_watch(fleet, monkey, memory))
    at_work = [asyncio.create_task(part.run(stopping)) for part in (monkey, *agents)]
    try:
        await asyncio.wait(at_work, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        stopping.set()
        async with asyncio.timeout(PATIENCE_SECONDS * 2):
            await asyncio.gather(*at_work)
    finally:
        for part in (*at_work, watching):
            part.cancel()
        await asyncio.gather(*at_work, watching, return_exceptions=True)


async def _watch(fleet: Fleet, monkey: Monkey, memory: Memory) -> None:
    """Start again what has died by itself, and say now and then how it goes."""
    began_at = said_at = time.monotonic()
    while True:
        await asyncio.gather(*(member.revive() for member in fleet.members))
        if time.monotonic() - said_at >= PROGRESS_EVERY_SECONDS:
            said_at = time.monotonic()
            print(
                f"{said_at - began_at:4.0f} s: {len(monkey.faults)} faults, {len(memory.handles)} tasks, "
                f"{len(memory.finished_at)} ended, {len(memory.complaints)} complaints",
                flush=True,
            )
        await asyncio.sleep(0.2)


def _progress(memory: Memory, began_at: float, seconds: float) -> list[Complaint]:
    ended = sum(at <= began_at + seconds for at in memory.finished_at)
    if ended >= seconds * TASKS_PER_SECOND:
        return []
    return [Complaint(f"only {ended} tasks came to an end in {seconds:.0f} s of faults")]


async def _balance(
    fleet: Fleet, memory: Memory, monkey: Monkey, wire: Wire, settled_seconds: float
) -> Outcome:
    evidence = await Evidence.gather(fleet, memory)
    balance = {
        "lost": await books.lost(evidence, wire),
        "double-ended": await books.double_ended(evidence),
        "unfinished": books.unfinished(evidence),
        "repeated steps": books.repeated_steps(evidence),
        "running on": books.running_on(evidence),
        "wrong ends": books.wrong_ends(evidence),
        "split keys": books.split_keys(evidence),
        "left in Redis": await books.left_in_redis(evidence),
    }
    histories = await _histories(
        fleet, [complaint for book in balance.values() for complaint in book], memory
    )
    rows = await audit.select(
        fleet.database_url,
        "SELECT task_id, count(*) AS attempts FROM task_event WHERE kind = 'attempt' GROUP BY task_id",
    )
    completed = [
        task["finished_at"] / 1000 for task in evidence.tasks.values() if task["status"] == "completed"
    ]
    await _end(fleet)
    balance["left behind"] = [Complaint(f"still lives: {each}") for each in fleet.left_behind()]
    balance["died"] = books.deaths(evidence)
    balance["contradictions"] = memory.complaints
    return Outcome(
        faults=monkey.faults,
        memory=memory,
        books=balance,
        ends=Counter(task["status"] for task in evidence.tasks.values()),
        attempts=Counter(row["attempts"] for row in rows),
        completed_at=completed,
        overrun_seconds=[seconds for _, seconds in books.overrun(evidence)],
        settled_seconds=settled_seconds,
        histories=histories,
    )


async def _end(fleet: Fleet) -> None:
    """Everything is told to stop, and does."""
    for member in fleet.members:
        with suppress(AssertionError):
            await member.end(signal.SIGTERM)


async def _histories(fleet: Fleet, complaints: list[Complaint], memory: Memory) -> dict[str, list[str]]:
    """The events of every task that somebody complains about."""
    suspects = {complaint.task_id for complaint in (*complaints, *memory.complaints) if complaint.task_id}
    statement = "SELECT at, kind, body FROM task_event WHERE task_id = :id ORDER BY id"
    return {
        task_id: [
            f"{row['at']} {row['kind']} {row['body']}"
            for row in await audit.select(fleet.database_url, statement, id=task_id)
        ]
        for task_id in sorted(suspects)
    }
