"""Circuit breakers: a tool that fails again and again is left alone for a while, by all workers together.

A breaker opens when a tool has failed often enough in a row for reasons that may pass. While it is open nothing of
this tool is started, which costs the waiting tasks no retry. After the pause one task is the probe: its success
closes the breaker, its failure opens it again for twice as long. The probe is the one that has been tried most often:
of a tool whose first attempts fail and whose next ones succeed, it is the likeliest to succeed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.lifecycle.events import EventKind, event
from tasks_server.lifecycle.moment import moment
from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.statements import breakers as breakers_sql
from tasks_server.store.statements import requests as requests_sql
from tasks_server.task import Task

log = logging.getLogger(__name__)

LONGEST_COOLDOWN_MS = 10 * 60 * 1000


class Admission(Enum):
    """What becomes of a task that could not simply be claimed."""

    GONE = auto()
    PAUSED = auto()
    PROBE = auto()


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """failures: how many without a result in between open a breaker; 0 opens none.

    Several of one task count once, unless another task has failed in between.

    cooldown_ms: the first pause.
    """

    failures: int = 5
    cooldown_ms: int = 30_000


class Breakers:
    """The worker's side. It remembers which tools have a breaker, so that success of the others costs nothing."""

    def __init__(self, database: Database, policy: BreakerPolicy) -> None:
        self._database = database
        self._policy = policy
        self._troubled: set[str] = set()

    def noticed(self, tool: str, failures: int | None) -> None:
        """A claim has seen the breaker of its tool, or that it has none."""
        if failures is None:
            self._troubled.discard(tool)
        else:
            self._troubled.add(tool)

    async def admit(self, connection: AsyncConnection, task_id: str, attempt: int) -> Admission:
        """Whether a task whose claim was refused may be started as a probe; otherwise it waits, and says why."""
        waiting = (await connection.execute(breakers_sql.lock_if_waiting(task_id, attempt))).one_or_none()
        if waiting is None:
            return Admission.GONE
        breaker = (await connection.execute(breakers_sql.lock_if_open(waiting.name))).one_or_none()
        if breaker is None:
            return Admission.GONE
        probe = (await connection.execute(breakers_sql.take_probe(breaker, waiting))).one_or_none()
        if probe is not None:
            return Admission.PROBE
        pause = breakers_sql.pause_behind(breaker.tool, task_id, breaker.open_until, why_it_waits(breaker))
        row = (await connection.execute(pause)).one()
        body = {"failures": breaker.failures, "error": breaker.last_error, "until": breaker.open_until}
        paused = event(task_id, row.updated_at, EventKind.PAUSED, body)
        await connection.execute(requests_sql.insert_events(), [paused])
        return Admission.PAUSED

    async def failed(self, connection: AsyncConnection, task: Task, error: str) -> int | None:
        """Count a failure; until when the breaker is open, if this opened it. The task's row is locked."""
        policy = self._policy
        if not policy.failures:
            return None
        is_sqlite = self._database.is_sqlite
        count = breakers_sql.count_failure(task.name, task.id, error, policy.cooldown_ms, is_sqlite=is_sqlite)
        await connection.execute(count)
        self._troubled.add(task.name)
        longest = max(LONGEST_COOLDOWN_MS, policy.cooldown_ms)
        opening = breakers_sql.open_if_due(task.name, task.id, policy.failures, longest)
        breaker = (await connection.execute(opening)).one_or_none()
        if breaker is None:
            return None
        log.warning("%s", why_it_waits(breaker))
        return breaker.open_until

    async def succeeded(self, tool: str, task_id: str) -> None:
        """A call has come to a result. Should this get lost, the next call is another probe."""
        if tool not in self._troubled:
            return
        try:
            async with self._database.transaction() as connection:
                close = breakers_sql.close_if_probe(tool, task_id, self._policy.cooldown_ms)
                closed = (await connection.execute(close)).one_or_none()
                if closed is None:
                    await connection.execute(breakers_sql.forget_failures(tool))
        except DATABASE_UNAVAILABLE as error:
            log.warning("the success of %s cannot be written: %s", tool, error)
            return
        if closed is not None:
            log.info("%s works again", tool)


def why_it_waits(breaker: Any) -> str:
    """The status message of what waits behind an open breaker."""
    return f"{_has_failed(breaker)}; it is tried again at {moment(breaker.open_until)}"


async def open_breakers(database: Database) -> list[str]:
    """A sentence for each tool that is left alone at the moment."""
    async with database.reading() as connection:
        rows = (await connection.execute(breakers_sql.breakers())).all()
    return [_how_it_stands(breaker) for breaker in rows if breaker.opened_at is not None]


def _how_it_stands(breaker: Any) -> str:
    following = (
        "the next of its tasks tries it again"
        if breaker.is_over
        else f"its tasks wait until {moment(breaker.open_until)}"
    )
    return f"{_has_failed(breaker)}; {following}."


def _has_failed(breaker: Any) -> str:
    times = "once" if breaker.failures == 1 else f"{breaker.failures} times in a row"
    last = str(breaker.last_error).rstrip(". ")
    return f"{breaker.tool} has failed {times} (last: {last})"
