"""`python -m tests.soak.takeover`: how long a job with an hour's timeout is left alone after its worker was killed."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.soak import ledger, report
from tests.soak.fleet import Fleet, running
from tests.soak.memory import Memory
from tests.soak.wire import Wire
from tests.support.waiting import wait_until

DEFAULT_LEASE_SECONDS = 15.0
JOBS_PER_WORKER = 3
AT_MOST_SECONDS = 20.0
WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of a job. began_at: Unix time in seconds."""

    attempt: int
    pid: int
    began_at: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.takeover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often a worker is killed")
    rounds: int = parser.parse_args().rounds
    directory = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))
    samples = sorted(asyncio.run(takeovers(directory, rounds)))
    shutil.rmtree(directory, ignore_errors=True)
    print(f"\n{distribution(samples, rounds)}")
    if samples[-1] > AT_MOST_SECONDS:
        print(f"\nA job had to wait for more than {AT_MOST_SECONDS:.0f} s.", file=sys.stderr)
        return 1
    return 0


async def takeovers(directory: Path, rounds: int) -> list[float]:
    """Kill a worker again and again; for each job it ran, the seconds until the job runs elsewhere."""
    samples: list[float] = []
    async with (
        running(directory, "postgresql", DEFAULT_LEASE_SECONDS) as fleet,
        httpx2.AsyncClient(timeout=30) as http,
    ):
        wire = Wire(http, fleet.urls, Memory(), random.Random(0))
        for number in range(JOBS_PER_WORKER * len(fleet.workers)):
            arguments = {"token": f"job {number}"}
            await wire.request("tools/call", "linger", {"name": "linger", "arguments": arguments})
        jobs = JOBS_PER_WORKER * len(fleet.workers)
        await wait_until(lambda: len(_runs(fleet)) == jobs, WAIT_SECONDS, describing="all jobs run")
        for number in range(rounds):
            found = await _kill_one(fleet, number)
            samples += found
            shown = ", ".join(f"{seconds:.1f}" for seconds in sorted(found))
            print(f"round {number + 1}: {len(found)} jobs ran elsewhere after {shown} s", flush=True)
    return samples


async def _kill_one(fleet: Fleet, number: int) -> list[float]:
    """Kill the worker that has the most work, at any moment between two renewals of its lease."""
    await asyncio.sleep(random.Random(number).uniform(0, DEFAULT_LEASE_SECONDS / 3))
    before = _runs(fleet)
    at_work = Counter(run.pid for run in before.values())
    worker = max(fleet.workers, key=lambda member: at_work[member.process.pid])
    lost = {task_id: run for task_id, run in before.items() if run.pid == worker.process.pid}
    killed_at = time.time()
    await worker.end(signal.SIGKILL)

    def elsewhere() -> list[Run]:
        now = _runs(fleet)
        again = [now[task_id] for task_id, run in lost.items() if now[task_id].attempt > run.attempt]
        return again if len(again) == len(lost) else []

    again = await wait_until(elsewhere, WAIT_SECONDS, every=0.1, describing="its jobs run elsewhere")
    await worker.start()
    return [run.began_at - killed_at for run in again]


def _runs(fleet: Fleet) -> dict[str, Run]:
    """The newest run of each job."""
    runs: dict[str, Run] = {}
    for entry in ledger.read(fleet.ledger):
        if entry.task_id not in runs or runs[entry.task_id].attempt < entry.attempt:
            runs[entry.task_id] = Run(entry.attempt, entry.pid, entry.at / 1000)
    return runs


def distribution(samples: list[float], rounds: int) -> str:
    """A table for people. samples: sorted."""
    quantiles = statistics.quantiles(samples, n=20, method="inclusive") if len(samples) > 1 else samples * 19
    values = (samples[0], statistics.median(samples), quantiles[18], samples[-1])
    title = f"`make takeover`: {rounds} workers killed, {len(samples)} jobs with an hour and more to go"
    heads = ("running elsewhere after", "min", "p50", "p95", "max")
    return f"{title}\n\n{report.table(heads, [('', *(f'{value:.1f} s' for value in values))])}"


if __name__ == "__main__":
    sys.exit(main())
