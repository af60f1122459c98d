"""What statements have in common: named conditions, and the columns that change together.

Statements are built in this package, one named function each, and run elsewhere. A guard belongs to the
statement; one whose guard does not hold changes no row and returns none.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, and_, or_, select

from tasks_server.store.database import now_ms
from tasks_server.store.tables import INPUT_REQUEST, TASK
from tasks_server.task import OPEN, STATUS_OF_OUTCOME, OutcomeKind, TaskStatus

Selection: TypeAlias = Select[*tuple[Any, ...]]

t = TASK.c
q = INPUT_REQUEST.c

IS_OPEN = or_(*(t.status == str(status) for status in sorted(OPEN)))
NOT_EXPIRED = or_(t.finished_at.is_(None), t.expires_at.is_(None), t.expires_at > now_ms())
# What has missed a deadline of its own is not started any more; upkeep ends it.
IN_TIME = and_(
    or_(t.deadline_at.is_(None), t.deadline_at > now_ms()),
    or_(t.start_by.is_(None), t.started_at.is_not(None), t.start_by > now_ms()),
)
# Only the worker that holds it, or its rescuer, ends a task whose cancellation was asked for: nobody else may
# let go of it, because nobody would take it up again.
NOT_CANCELLING = t.cancel_requested_at.is_(None)
# In its owner's dispatch window, and behind it. (Partial indexes are used for these very words only.)
IS_ANNOUNCED = and_(t.announced_at.is_not(None), t.next_dispatch_at.is_not(None))
IS_BACKLOG = t.backlog_rank.is_not(None)
IS_OUTSTANDING = and_(q.response.is_(None), q.withdrawn_at.is_(None))

# A waiting task that nobody claimed is announced again after this, doubled each time up to the cap.
REDISPATCH_AFTER_MS = 2_000
REDISPATCH_AT_MOST_MS = 60_000
# An unfinished task always shows at least this much time left, and gets more before half of it has passed.
MINIMUM_TTL_MS = 60_000
# A dead letter is kept at least this long, so that an operator finds it after a holiday.
DEAD_LETTER_MS = 7 * 24 * 60 * 60 * 1000

CHANGED: dict[str, Any] = {"revision": t.revision + 1, "updated_at": now_ms()}
NOT_WAITING: dict[str, Any] = {
    "next_dispatch_at": None,
    "announced_at": None,
    "backlog_rank": None,
    "paused_by": None,
}
UNLEASED: dict[str, Any] = {"lease_worker": None, "lease_until": None}


def waits(task_id: str, attempt: int) -> ColumnElement[bool]:
    """Whether this attempt of the task waits for a worker."""
    return and_(
        t.id == task_id, t.attempt == attempt, t.status == TaskStatus.WORKING, t.lease_worker.is_(None)
    )


def held(task_id: str, attempt: int, worker: str) -> ColumnElement[bool]:
    """The fence: whether this attempt of the task is still this worker's."""
    return and_(t.id == task_id, t.attempt == attempt, t.lease_worker == worker, IS_OPEN)


def unlocked(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """For an UPDATE: tasks that meet these conditions, except those that somebody else has locked at this moment.

    Nobody is waited for, so one locked task delays no other. The conditions have to be repeated outside: on
    PostgreSQL a row may have changed in between. As a common table expression, because PostgreSQL may run a plain
    subquery several times. (SQLite has no locks on rows.)
    """
    chosen = select(t.id).where(*conditions).with_for_update(skip_locked=True, key_share=True).cte("chosen")
    return t.id.in_(select(chosen.c.id))


def clock() -> Selection:
    """The database's time."""
    return select(now_ms())


def finished(kind: OutcomeKind, outcome: str | None) -> dict[str, Any]:
    """Columns of a finished task."""
    return finished_as(STATUS_OF_OUTCOME[kind], kind, outcome)


def finished_as(status: Any, kind: Any, outcome: Any) -> dict[str, Any]:
    """Columns of a finished task. How long it is kept counts from its end, so the ttl is settled now."""
    return {
        "status": status,
        "outcome_kind": kind,
        "outcome": outcome,
        "finished_at": now_ms(),
        **NOT_WAITING,
        "ttl_ms": now_ms() - t.created_at + t.retention_ms,
        "expires_at": now_ms() + t.retention_ms,
        **UNLEASED,
        **CHANGED,
    }
