"""Task values to show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tasks_server.task import Door, Method, Origin, Task, TaskStatus

WORKING = Task(
    id="0123456789abcdef0123456789abcdef",
    owner="anonymous",
    method=Method.CALL_TOOL,
    name="greet",
    queue="default",
    status=TaskStatus.WORKING,
    status_message=None,
    progress=None,
    progress_total=None,
    arguments="{}",
    origin=Origin(Door.HANDLE, "2026-07-28", {}),
    revision=1,
    attempt=0,
    retries_used=0,
    max_retries=3,
    created_at=1_785_196_800_123,
    updated_at=1_785_196_801_000,
    started_at=None,
    finished_at=None,
    ttl_ms=None,
    poll_interval_ms=None,
    run_timeout_ms=None,
    lease_worker=None,
    lease_until=None,
    cancel_requested_at=None,
    outcome_kind=None,
    outcome=None,
    priority=0,
    crashes=0,
    max_crashes=3,
    last_error=None,
    start_by=None,
    deadline_at=None,
)


def task(**changes: Any) -> Task:
    return replace(WORKING, **changes)
