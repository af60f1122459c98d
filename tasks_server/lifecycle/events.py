"""What the event log holds: one kind per thing that happens to a task."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from tasks_server.encoding import encode_text


class EventKind(StrEnum):
    """`attempt` a worker took the task; `progress` coalesced; `log` a line; `question`, `answer` by key;
    `withdrawn` a question whose asker gave up; `released` handed back uncharged; `lost` its worker died; `parked`
    waits without a worker; `failed` the attempt failed for a reason that may pass, and when the next one starts;
    `dropped` the rest of progress and log is not kept."""

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


def event(task_id: str, at: int, kind: EventKind, body: Mapping[str, Any]) -> dict[str, Any]:
    """A row for `requests_sql.insert_events`."""
    return {"task_id": task_id, "at": at, "kind": kind, "body": encode_text(body)}
