"""What must be true when everything is at rest: each function is one book, and returns what does not balance."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from tests.soak import audit, ledger
from tests.soak.fleet import Fleet
from tests.soak.ledger import Effect, Entry
from tests.soak.memory import TERMINAL, Complaint, Memory
from tests.soak.settling import queued_jobs
from tests.soak.wire import Refused, Wire
from tests.support import redis_keys

ALL_TASKS = "SELECT id, name, arguments, status, lease_worker, finished_at, attempt, crashes FROM task"
# A cancelled task's code may go on for as long as nobody can know of the cancellation or act on it: its worker was
# paused for up to two leases (6 s), perhaps again soon after, or cut off from the database; a deaf process has 5 s.
STOPS_WITHIN_SECONDS = 18.0
QUARANTINE_CRASHES = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the books are held against: what clients saw, what tools did, what the record says."""

    fleet: Fleet
    memory: Memory
    tasks: dict[str, dict[str, Any]]
    effects: list[Entry]

    @classmethod
    async def gather(cls, fleet: Fleet, memory: Memory) -> Evidence:
        tasks = {row["id"]: row for row in await audit.select(fleet.database_url, ALL_TASKS)}
        return cls(fleet, memory, tasks, list(ledger.read(fleet.ledger)))


async def lost(evidence: Evidence, wire: Wire) -> list[Complaint]:
    """Every handle resolves through every server, to the end that was seen."""
    found: list[Complaint] = []
    for task_id in evidence.memory.handles:
        for server in range(len(evidence.fleet.servers)):
            try:
                task = await wire.request_of(server, "tasks/get", task_id, {"taskId": task_id})
            except Refused as error:
                found.append(Complaint(f"server {server + 1}: {error}", task_id))
                continue
            if not evidence.memory.shown(task, f"server {server + 1}, at rest,"):
                found.append(Complaint(f"server {server + 1} still shows {task['status']}", task_id))
    return found


async def double_ended(evidence: Evidence) -> list[Complaint]:
    """The trigger saw every task end, once."""
    rows = await audit.select(evidence.fleet.database_url, "SELECT task_id FROM soak_end")
    ends = Counter(row["task_id"] for row in rows)
    return [
        Complaint(f"was written as ended {ends[task_id]} times", task_id)
        for task_id in evidence.tasks
        if ends[task_id] != 1
    ]


def unfinished(evidence: Evidence) -> list[Complaint]:
    """No task is open, and none is held."""
    return [
        Complaint(f"is {task['status']}, held by {task['lease_worker']}", task_id)
        for task_id, task in evidence.tasks.items()
        if task["status"] not in TERMINAL or task["lease_worker"] is not None
    ]


def repeated_steps(evidence: Evidence) -> list[Complaint]:
    """No step was executed in a later attempt than the one whose execution was kept."""
    kept: dict[tuple[str, str], int] = {}
    for entry in evidence.effects:
        if entry.effect == Effect.KEPT:
            step = (entry.task_id, entry.step)
            kept[step] = min(entry.by, kept.get(step, entry.by))
    return [
        Complaint(
            f"{entry.step} ran in attempt {entry.attempt}, after attempt {kept[step]} was kept", step[0]
        )
        for entry in evidence.effects
        if entry.effect == Effect.RAN
        and (step := (entry.task_id, entry.step)) in kept
        and entry.attempt > kept[step]
    ]


def overrun(evidence: Evidence) -> list[tuple[str, float]]:
    """Tasks whose code was seen at work after their end, and for how many seconds."""
    last: dict[str, int] = defaultdict(int)
    for entry in evidence.effects:
        if entry.effect == Effect.TICKED:
            last[entry.task_id] = max(last[entry.task_id], entry.at)
    return [
        (task_id, (at - task["finished_at"]) / 1000)
        for task_id, at in last.items()
        if (task := evidence.tasks.get(task_id)) is not None
        and task["finished_at"] is not None
        and at > task["finished_at"]
    ]


def running_on(evidence: Evidence) -> list[Complaint]:
    """The code of a cancelled task has stopped."""
    return [
        Complaint(f"went on for {seconds:.1f} s after its end", task_id)
        for task_id, seconds in overrun(evidence)
        if seconds > STOPS_WITHIN_SECONDS
    ]


def wrong_ends(evidence: Evidence) -> list[Complaint]:
    """Every end is one that the errand could come to, with the content it must have."""
    found: list[Complaint] = []
    for handle in evidence.memory.handles.values():
        end = handle.end
        if end is None:
            found.append(Complaint("its end was never seen", handle.task_id))
        elif handle.tool.startswith("linger"):
            if end["status"] != "cancelled":
                found.append(Complaint(f"was cancelled but is {end}", handle.task_id))
        elif end["status"] == "cancelled":
            if not handle.cancel_asked:
                found.append(Complaint("is cancelled, and nobody wanted that", handle.task_id))
        elif end["status"] == "failed":
            if handle.tool != "fragile" or evidence.tasks[handle.task_id]["crashes"] < QUARANTINE_CRASHES:
                found.append(Complaint(f"has failed: {end}", handle.task_id))
        else:
            wanted = handle.token if handle.name is None else f"{handle.token} {handle.name}"
            if wanted not in str(end["result"]):
                found.append(Complaint(f"{wanted!r} is not in its result: {end['result']}", handle.task_id))
    return found


def split_keys(evidence: Evidence) -> list[Complaint]:
    """One idempotency key, one task."""
    return [
        Complaint(f"{key} was given {len(task_ids)} tasks: {sorted(task_ids)}", min(task_ids))
        for key, task_ids in evidence.memory.keys.items()
        if len(task_ids) > 1
    ]


async def left_in_redis(evidence: Evidence) -> list[Complaint]:
    """No key without an expiry, no job in a queue."""
    fleet = evidence.fleet
    keys = await fleet.aside(lambda: redis_keys.keys_without_expiry(fleet.valkey.url))
    jobs = await fleet.aside(lambda: queued_jobs(fleet))
    return [Complaint(f"Redis keeps {name}") for name in (*keys, *jobs)]


def deaths(evidence: Evidence) -> list[Complaint]:
    """No server and no worker ended by itself, and all that were told to end did so in order."""
    found: list[Complaint] = []
    for member in evidence.fleet.members:
        found += [Complaint(death) for death in member.deaths]
        codes = [code for code in member.exit_codes if code != 0]
        found += [Complaint(f"{member.name} was told to stop and ended with {code}") for code in codes]
    return found
