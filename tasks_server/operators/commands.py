"""What `tasks-server dead-letters`, `show` and `replay` do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
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


async def list_dead_letters(settings: Settings, *, limit: int, as_json: bool) -> None:
    await check_database(settings.database_url)
    database = Database(settings.database_url)
    try:
        letters = await History(database).dead_letters(limit)
    finally:
        await database.close()
    if as_json:
        _say(json.dumps(letters, indent=2))
        return
    _say("\n".join(_listed(letters)) if letters else "There are no dead letters.")


async def show(settings: Settings, task_id: str, *, as_json: bool) -> None:
    """Raises CommandRefused when there is no such task."""
    await check_database(settings.database_url)
    database = Database(settings.database_url)
    try:
        task = await History(database).of(task_id)
    finally:
        await database.close()
    if as_json:
        events: list[dict[str, Any]] = [
            {"at": happened.at, "kind": happened.kind, **happened.body} for happened in task.events
        ]
        _say(json.dumps({**task.row, "events": events}, indent=2))
    else:
        _say("\n".join(timeline(task)))


async def replay(settings: Settings, task_id: str) -> None:
    """Raises CommandRefused when there is no such task, or when it has not failed."""
    await check_database(settings.database_url)
    database = Database(settings.database_url)
    redis = connect(settings.redis_url)
    bus = Bus(redis, connect_blocking(settings.redis_url))
    try:
        requests = ClientRequests(database, Announcer(TaskQueue(redis), bus))
        task = await Replays(database, requests).replay(task_id)
    finally:
        await bus.close()
        await redis.aclose()
        await database.close()
    _say(f"{task.id} repeats {task_id}")


def _listed(letters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows = [("failed at (UTC)", "task", "tool", "crashes", "last error")]
    for letter in letters:
        crashes = "1 crash" if letter["crashes"] == 1 else f"{letter['crashes']} crashes"
        at = moment(letter["quarantined_at"])
        rows.append((at, letter["id"], letter["name"], crashes, letter["last_error"]))
    widths = [max(len(cell) for cell in column) for column in list(zip(*rows, strict=True))[:-1]]
    for *cells, last in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), last])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
