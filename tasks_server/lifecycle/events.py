"""What the event log holds: one kind per thing that happens to a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from tasks_server.encoding import encode_text


class EventKind(StrEnum):
    """`attempt` a worker took the task; `progress` coalesced; `log` a line; `question`, `answer` by key;
    `withdrawn` a question whose asker gave up; `released` handed back uncharged; `lost` its worker died; `parked`
    waits without a worker; `failed` the attempt failed for a reason that may pass, and when the next one starts;
    `paused` behind its tool's circuit breaker, `resumed` let go by it; `dropped` the rest of progress and log is not
    kept."""

    ATTEMPT = "attempt"
    PROGRESS = "progress"
    LOG = "log"
    QUESTION = "question"
    ANSWER = "answer"
    WITHDRAWN = "withdrawn"
    PARKED = "parked"
    RELEASED = "released"
    LOST = "lost"
    FAILED = "failed"
    DROPPED = "dropped"
    PAUSED = "paused"
    RESUMED = "resumed"


class Released(StrEnum):
    """Why a worker hands a task back: it is told to stop itself, what it had claimed ahead found no slot, or it does
    not offer or understand what is asked for."""

    STOPPING = "stopping"
    NO_SLOT = "no slot"
    NOT_OFFERED = "not offered"
    UNREADABLE = "unreadable"


MOST_LOG_ROWS = 10_000
"""How many rows of progress and log lines are kept of one task; everything else that happens is always kept."""


def kept(rows: Sequence[dict[str, Any]], counted: int) -> Sequence[dict[str, Any]]:
    """Of progress and log rows about to be inserted, those there is room for. counted: all so far, these included.

    Where the room ends, a row says so.
    """
    before = counted - len(rows)
    if counted <= MOST_LOG_ROWS or before > MOST_LOG_ROWS:
        return rows if counted <= MOST_LOG_ROWS else ()
    newest = rows[-1]
    end = event(newest["task_id"], newest["at"], EventKind.DROPPED, {"kept": MOST_LOG_ROWS})
    return (*rows[: MOST_LOG_ROWS - before], end)


def event(task_id: str, at: int, kind: EventKind, body: Mapping[str, Any]) -> dict[str, Any]:
    """A row for `requests_sql.insert_events`."""
    return {"task_id": task_id, "at": at, "kind": kind, "body": encode_text(body)}
