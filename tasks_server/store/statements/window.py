"""Dispatch windows: of what an owner has waiting in a queue, only so much is announced; the rest waits in SQL.

A lane is what one owner has in one queue. Everything here is bounded by the sizes of windows and quotas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Update,
    cast,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    update,
)

from tasks_server.store.database import now_ms
from tasks_server.store.statements.terms import (
    IS_ANNOUNCED,
    IS_BACKLOG,
    REDISPATCH_AFTER_MS,
    Selection,
    t,
    unlocked,
)
from tasks_server.store.tables import TASK
from tasks_server.task import HIGHEST_PRIORITY

Lane = tuple[str, str]
"""(owner, queue)"""

# A rank is priority, then age in milliseconds, then the place among those that were submitted in one commit.
PLACES = 2**10
PRIORITY_STEP = 2**44 * PLACES
ONE: ColumnElement[int] = literal_column("1")


def room_in_lane(lane: Lane, window: int, max_running: int | None) -> Selection:
    """How many more a window takes; with a limit on running tasks, also how many more it makes sense to announce."""
    owner, queue = lane
    columns: list[ColumnElement[Any]] = [
        (window - count_up_to(window, IS_ANNOUNCED, t.owner == owner, t.queue == queue)).label("in_window")
    ]
    if max_running is not None:
        announced = count_up_to(max_running, IS_ANNOUNCED, t.owner == owner)
        columns.append((max_running - running(literal(owner), max_running) - announced).label("to_run"))
    return select(*columns)


def refill_one_at_a_time(lane: Lane) -> Selection:
    """PostgreSQL: who refills the same window waits here, so that its room is counted by one at a time."""
    owner, queue = lane
    return select(func.pg_advisory_xact_lock(func.hashtext(owner), func.hashtext(queue)))


def first_of_line(lane: Lane, number: int) -> Selection:
    """The next tasks of the line, in its order."""
    owner, queue = lane
    return (
        select(t.id, t.attempt, t.queue, t.owner)
        .where(t.owner == owner, t.queue == queue, IS_BACKLOG)
        .order_by(t.backlog_rank)
        .limit(number)
    )


def admit(ids: Sequence[str]) -> Update:
    """Let these tasks into the window, as far as they still wait behind it."""
    return (
        update(TASK)
        .where(unlocked(t.id.in_(ids), IS_BACKLOG), IS_BACKLOG)
        .values(
            announced_at=now_ms(),
            backlog_rank=None,
            next_dispatch_at=now_ms() + REDISPATCH_AFTER_MS,
            dispatch_count=0,
        )
        .returning(t.id)
    )


def next_lane(after: Lane) -> Selection:
    """The next lane, in alphabetical order, that has a line."""
    return (
        select(t.owner, t.queue)
        .where(IS_BACKLOG, tuple_(t.owner, t.queue) > tuple_(*after))
        .order_by(t.owner, t.queue)
        .limit(1)
    )


def running(owner: ColumnElement[Any], limit: int) -> ColumnElement[int]:
    """How many tasks of this owner workers hold, counted up to the limit."""
    held = TASK.alias("held")
    counted = (
        select(ONE).where(held.c.owner == owner, held.c.lease_worker.is_not(None)).limit(limit)
    ).correlate(TASK)
    return select(func.count()).select_from(counted.subquery()).scalar_subquery()


def has_backlog() -> ColumnElement[bool]:
    """For what a statement about a task returns: whether others of its lane wait behind the window.

    Written out, because SQLAlchemy takes the tables' names away from what SQLite returns, and then an owner
    would be compared with itself.
    """
    return literal_column(
        "EXISTS (SELECT 1 FROM task AS behind WHERE behind.owner = task.owner AND behind.queue = task.queue"
        " AND behind.backlog_rank IS NOT NULL)",
        Boolean,
    )


def rank_in_backlog() -> ColumnElement[int]:
    """`backlog_rank` of the task a statement is about."""
    return (HIGHEST_PRIORITY - t.priority) * cast(PRIORITY_STEP, BigInteger) + t.created_at * PLACES


def count_up_to(limit: int, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
    """How many tasks meet the conditions; more than the limit are not looked at."""
    counted = select(ONE).select_from(TASK).where(*conditions).limit(limit).correlate_except(TASK)
    return select(func.count()).select_from(counted.subquery()).scalar_subquery()


def exists_backlog(owner: ColumnElement[Any], queue: ColumnElement[Any]) -> ColumnElement[bool]:
    behind = TASK.alias("behind")
    return exists(
        select(ONE).where(
            behind.c.owner == owner, behind.c.queue == queue, behind.c.backlog_rank.is_not(None)
        )
    )
