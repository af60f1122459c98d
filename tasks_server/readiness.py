"""What `/readyz` says: what works, what does not, and whether this server can serve nevertheless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio

from tasks_server.bus import Bus
from tasks_server.catalog import Catalog
from tasks_server.defects import Defects
from tasks_server.lifecycle.breakers import open_breakers
from tasks_server.store.condition import Condition, condition_of
from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.workforce import Workforce

LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """states: a word for each part. problems: a sentence for each that is not `ok`."""

    is_ready: bool
    states: dict[str, str]
    problems: list[str]

    def as_object(self) -> dict[str, Any]:
        """`database`, `redis` and `workers` say whether that part can be used at all."""
        return {
            "ready": self.is_ready,
            "database": self.is_ready,
            "redis": self.states["redis"] == "ok",
            "workers": self.states["workers"] == "ok",
            "states": self.states,
            "problems": self.problems,
        }


async def readiness(database: Database, bus: Bus, catalog: Catalog, defects: Defects) -> Readiness:
    """Asks the database; what is known of Redis and the workers is at most some seconds old."""
    condition, problem = Condition.UNREACHABLE, "The database does not answer."
    left_alone: list[str] = []
    with anyio.move_on_after(LOOK_SECONDS):
        condition, problem = await condition_of(database)
        if condition.can_serve:
            left_alone = await _left_alone(database)
    workforce = catalog.workforce()
    redis, workers = _redis(bus), _workers(workforce)
    failing = [*defects.current(), *workforce.troubles]
    states = {
        "database": condition.value,
        "redis": redis[0],
        "workers": workers[0],
        "maintenance": "failing" if failing else "ok",
        "breakers": "open" if left_alone else "ok",
    }
    problems = [text for text in (problem, redis[1], workers[1], *failing, *left_alone) if text]
    return Readiness(condition.can_serve, states, problems)


async def _left_alone(database: Database) -> list[str]:
    try:
        return await open_breakers(database)
    except DATABASE_UNAVAILABLE:  # the next look says what it is
        return []


def _redis(bus: Bus) -> tuple[str, str]:
    if bus.connected.is_set():
        return "ok", ""
    return (
        "gone",
        "Redis is not reachable: tasks are taken, and start when it is back; changes are told late.",
    )


def _workers(workforce: Workforce) -> tuple[str, str]:
    if not workforce.live:
        return "none", "No worker is live: tasks are taken and wait."
    if not workforce.picking:
        count = (
            "The only live worker takes" if workforce.live == 1 else f"All {workforce.live} live workers take"
        )
        return "not_claiming", f"{count} no work: tasks wait. The log of a worker says what it waits for."
    return "ok", ""
