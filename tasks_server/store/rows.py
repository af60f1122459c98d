"""From rows to the frozen values that the rest of the code passes around, and back."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from tasks_server.encoding import decode_json, encode_text
from tasks_server.errors import TaskUnreadable
from tasks_server.store.statements.terms import MINIMUM_TTL_MS
from tasks_server.task import Door, Method, NewTask, Origin, OutcomeKind, Task, TaskStatus

log = logging.getLogger(__name__)

SAID_AT_MOST = 10_000
LONGEST_REQUEST_KEY = 200
_said_unreadable: set[str] = set()


def readable(rows: Iterable[Any]) -> Iterator[Task]:
    """Those of these rows that this version understands: one that a newer version wrote must not hide the others."""
    for row in rows:
        with suppress(TaskUnreadable):
            yield task_from_row(row)


def task_from_row(row: Any) -> Task:
    """A `task` row (every column selected) as a Task without its questions.

    Raises TaskUnreadable for what a newer version has written, and logs it, once for each task.
    """
    try:
        return _task(row)
    except (ValueError, KeyError, TypeError) as error:
        unreadable = TaskUnreadable(row.id, row.owner, error)
        if row.id not in _said_unreadable:
            if len(_said_unreadable) >= SAID_AT_MOST:
                _said_unreadable.clear()
            _said_unreadable.add(row.id)
            log.error("%s", unreadable)  # noqa: TRY400 - the text says it all
        raise unreadable from error


def _task(row: Any) -> Task:
    return Task(
        id=row.id,
        owner=row.owner,
        method=Method(row.method),
        name=row.name,
        queue=row.queue,
        status=TaskStatus(row.status),
        status_message=row.status_message,
        progress=row.progress,
        progress_total=row.progress_total,
        arguments=row.arguments,
        origin=_origin(row),
        revision=row.revision,
        attempt=row.attempt,
        retries_used=row.retries_used,
        max_retries=row.max_retries,
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        ttl_ms=row.ttl_ms,
        poll_interval_ms=row.poll_interval_ms,
        run_timeout_ms=row.run_timeout_ms,
        lease_worker=row.lease_worker,
        lease_until=row.lease_until,
        cancel_requested_at=row.cancel_requested_at,
        outcome_kind=OutcomeKind(row.outcome_kind) if row.outcome_kind else None,
        outcome=row.outcome,
        priority=row.priority,
        crashes=row.crashes,
        max_crashes=row.max_crashes,
        last_error=row.last_error,
        start_by=row.start_by,
        deadline_at=row.deadline_at,
    )


def _origin(row: Any) -> Origin:
    fields: dict[str, Any] = decode_json(row.origin)
    return Origin(
        door=Door(row.door),
        protocol_version=fields["protocolVersion"],
        capabilities=fields["capabilities"],
        log_level=fields.get("logLevel"),
        progress_token=fields.get("progressToken"),
        session=row.session,
        request_id=fields.get("requestId"),
    )


def origin_as_text(origin: Origin) -> str:
    fields: dict[str, Any] = {
        "protocolVersion": origin.protocol_version,
        "capabilities": origin.capabilities,
    }
    optional = {
        "logLevel": origin.log_level,
        "progressToken": origin.progress_token,
        "requestId": origin.request_id,
    }
    return encode_text(fields | {name: value for name, value in optional.items() if value is not None})


def request_key(request_id: str | int) -> str:
    """A JSON-RPC id as it is looked up: 1 and "1" are two ids, and an index takes no text of any length."""
    encoded = encode_text(request_id)
    if len(encoded) <= LONGEST_REQUEST_KEY:
        return encoded
    return f"sha256:{hashlib.sha256(encoded.encode()).hexdigest()}"


def first_ttl_ms(new: NewTask) -> int | None:
    """The time a task is given when it is created; what it really is kept for counts from its end."""
    return None if new.retention_ms is None else max(new.retention_ms, MINIMUM_TTL_MS)


def session_request(origin: Origin) -> str | None:
    """How the JSON-RPC id of the request is looked up; None outside of sessions."""
    if origin.session is None or origin.request_id is None:
        return None
    return request_key(origin.request_id)


def _after(now: int, period_ms: int | None) -> int | None:
    return None if period_ms is None else now + period_ms


def new_task_as_read(new: NewTask, now: int) -> Task:
    """What reading the row back would give; saves the read."""
    return Task(
        id=new.id,
        owner=new.owner,
        method=new.method,
        name=new.name,
        queue=new.queue,
        status=TaskStatus.WORKING,
        status_message=new.status_message,
        progress=None,
        progress_total=None,
        arguments=new.arguments,
        origin=new.origin,
        revision=1,
        attempt=0,
        retries_used=0,
        max_retries=new.max_retries,
        created_at=now,
        updated_at=now,
        started_at=None,
        finished_at=None,
        ttl_ms=first_ttl_ms(new),
        poll_interval_ms=new.poll_interval_ms,
        run_timeout_ms=new.run_timeout_ms,
        lease_worker=None,
        lease_until=None,
        cancel_requested_at=None,
        outcome_kind=None,
        outcome=None,
        priority=new.priority,
        crashes=0,
        max_crashes=new.max_crashes,
        last_error=None,
        start_by=_after(now, new.start_within_ms),
        deadline_at=_after(now, new.deadline_ms),
    )
