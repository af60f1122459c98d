"""What `tasks-server dead-letters`, `breakers`, `show` and `replay` do."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tasks_server.bus import Bus
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.replay import Replays
from tasks_server.lifecycle.requests import ClientRequests
from tasks_server.operators.history import History
from tasks_server.operators.timeline import moment, timeline
from tasks_server.queue import TaskQueue
from tasks_server.redis_client import connect, connect_blocking
from tasks_server.settings import Settings
from tasks_server.startup import check_database
from tasks_server.store.database import Database

LETTER = ("failed at (UTC)", "task", "tool", "crashes", "last error")
BREAKER = ("tool", "breaker", "failures", "open until (UTC)", "last error")


async def list_dead_letters(settings: Settings, *, limit: int, as_json: bool) -> None:
    async with _record(settings) as database:
        letters = await History(database).dead_letters(limit)
    if as_json:
        _say(json.dumps(letters, indent=2))
    else:
        _say_table(LETTER, map(_letter, letters), otherwise="There are no dead letters.")


async def list_breakers(settings: Settings, *, as_json: bool) -> None:
    async with _record(settings) as database:
        breakers = await History(database).breakers()
    if as_json:
        _say(json.dumps(breakers, indent=2))
    else:
        _say_table(BREAKER, map(_breaker, breakers), otherwise="No tool has failed lately.")


async def show(settings: Settings, task_id: str, *, as_json: bool) -> None:
    """Raises CommandRefused when there is no such task."""
    async with _record(settings) as database:
        task = await History(database).of(task_id)
    if as_json:
        events: list[dict[str, Any]] = [
            {"at": happened.at, "kind": happened.kind, **happened.body} for happened in task.events
        ]
        _say(json.dumps({**task.row, "events": events}, indent=2))
    else:
        _say("\n".join(timeline(task)))


async def replay(settings: Settings, task_id: str) -> None:
    """Raises CommandRefused when there is no such task, or when it has not failed."""
    async with _record(settings) as database:
        redis = connect(settings.redis_url)
        bus = Bus(redis, connect_blocking(settings.redis_url))
        try:
            requests = ClientRequests(database, Announcer(TaskQueue(redis), bus))
            task = await Replays(database, requests).replay(task_id)
        finally:
            await bus.close()
            await redis.aclose()
    _say(f"{task.id} repeats {task_id}")


@asynccontextmanager
async def _record(settings: Settings) -> AsyncGenerator[Database]:
    """Raises ConfigurationError for a database that is not there, or not migrated."""
    await check_database(settings.database_url)
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        await database.close()


def _letter(row: Mapping[str, Any]) -> tuple[str, ...]:
    crashes = "1 crash" if row["crashes"] == 1 else f"{row['crashes']} crashes"
    return moment(row["quarantined_at"]), row["id"], row["name"], crashes, row["last_error"]


def _breaker(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["opened_at"] is None:
        state, until = "closed", "-"
    else:
        state, until = "half-open" if row["is_over"] else "open", moment(row["open_until"])
    return row["tool"], state, str(row["failures"]), until, row["last_error"]


def _say_table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, otherwise: str) -> None:
    lines = [heads, *rows]
    if len(lines) == 1:
        _say(otherwise)
        return
    widths = [max(map(len, column)) for column in list(zip(*lines, strict=True))[:-1]]
    for *cells, last in lines:
        _say("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), last]))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
