"""Recording new tasks: one statement for any number of them, which also decides who is announced and who waits.

Of what an owner has waiting in a queue only so much is announced (see `window`). Those of a batch are counted in the
order in which they came. Built once for each policy, and planned once.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from tasks_server.store.database import now_ms
from tasks_server.store.statements.given import NUMBER, TEXT, Given
from tasks_server.store.statements.terms import IS_ANNOUNCED, IS_BACKLOG, REDISPATCH_AFTER_MS, t
from tasks_server.store.statements.window import PLACES, PRIORITY_STEP, count_up_to, exists_backlog
from tasks_server.store.tables import TASK
from tasks_server.task import HIGHEST_PRIORITY, TaskStatus

AS_GIVEN = {
    "id": TEXT,
    "owner": TEXT,
    "method": TEXT,
    "name": TEXT,
    "queue": TEXT,
    "arguments": TEXT,
    "door": TEXT,
    "origin": TEXT,
    "session": TEXT,
    "session_request": TEXT,
    "status_message": TEXT,
    "max_retries": NUMBER,
    "max_crashes": NUMBER,
    "priority": NUMBER,
    "poll_interval_ms": NUMBER,
    "run_timeout_ms": NUMBER,
    "retention_ms": NUMBER,
    "ttl_ms": NUMBER,
    "replay_of": TEXT,
    "idempotency_key": TEXT,
    "request_digest": TEXT,
}
PERIODS = {"start_within_ms": NUMBER, "deadline_ms": NUMBER}
PLACE = {"place": NUMBER}
COLUMNS = AS_GIVEN | PERIODS | PLACE
"""What has to be given of a new task. place: among those that are recorded together, from 0."""


@cache
def insert_new(
    window: int, max_queued: int | None, *, unless_known: bool, is_sqlite: bool
) -> tuple[Insert, Given]:
    """Insert the given tasks, except those of owners who have max_queued waiting already.

    unless_known: also except those whose (owner, idempotency key) is there; whoever inserts it at this moment is
    waited for.
    """
    new = Given(COLUMNS, is_sqlite=is_sqlite)
    clock = select(now_ms().label("now")).cte("clock")
    of_lane = func.row_number().over(partition_by=[new["owner"], new["queue"]], order_by=new["place"])
    of_owner = func.row_number().over(partition_by=new["owner"], order_by=new["place"])
    fresh = select(
        *(new[name].label(name) for name in COLUMNS),
        of_lane.label("nth_of_lane"),
        of_owner.label("nth_of_owner"),
    ).cte("fresh")
    lane = select(fresh.c.owner, fresh.c.queue).distinct().cte("lane")
    announced = count_up_to(window, IS_ANNOUNCED, t.owner == lane.c.owner, t.queue == lane.c.queue)
    state = select(
        lane.c.owner,
        lane.c.queue,
        announced.label("announced"),
        exists_backlog(lane.c.owner, lane.c.queue).label("has_backlog"),
        _queued(lane.c.owner, max_queued).label("queued"),
    ).cte("state")
    now = clock.c.now
    is_let_in = and_(~state.c.has_backlog, state.c.announced + fresh.c.nth_of_lane <= window)
    rank = (
        (HIGHEST_PRIORITY - fresh.c.priority) * cast(PRIORITY_STEP, BigInteger)
        + now * PLACES
        + fresh.c.place % PLACES
    )
    values: dict[str, ColumnElement[object]] = {
        **{name: fresh.c[name] for name in AS_GIVEN},
        "status": literal(str(TaskStatus.WORKING)),
        "revision": literal(1),
        "attempt": literal(0),
        "retries_used": literal(0),
        "dispatch_count": literal(0),
        "created_at": now,
        "updated_at": now,
        "next_dispatch_at": now + REDISPATCH_AFTER_MS,
        "expires_at": now + fresh.c.ttl_ms,
        "start_by": now + fresh.c.start_within_ms,
        "deadline_at": now + fresh.c.deadline_ms,
        "announced_at": case((is_let_in, now), else_=null()),
        "backlog_rank": case((is_let_in, null()), else_=rank),
    }
    is_in_lane = and_(fresh.c.owner == state.c.owner, fresh.c.queue == state.c.queue)
    admitted = (
        select(*values.values())
        .select_from(fresh.join(state, is_in_lane).join(clock, literal(1) == literal(1)))
        # In one order everywhere: two servers that insert the same keys must not wait for each other in a circle.
        .order_by(fresh.c.idempotency_key, fresh.c.place)
    )
    if max_queued is not None:
        admitted = admitted.where(state.c.queued + fresh.c.nth_of_owner <= max_queued)
    if not unless_known:
        statement = insert(TASK).from_select(list(values), admitted)
    else:
        dialect = sqlite if is_sqlite else postgresql
        statement = (
            dialect.insert(TASK)
            .from_select(list(values), admitted)
            .on_conflict_do_nothing(
                index_elements=[t.owner, t.idempotency_key], index_where=t.idempotency_key.is_not(None)
            )
        )
    return statement.returning(t.id, t.created_at, t.announced_at), new


def _queued(owner: ColumnElement[str], max_queued: int | None) -> ColumnElement[int]:
    if max_queued is None:
        return literal(0)
    announced = count_up_to(max_queued, IS_ANNOUNCED, t.owner == owner)
    return announced + count_up_to(max_queued, IS_BACKLOG, t.owner == owner)
