"""Circuit breakers: one row for each tool that has failed lately, looked up by the claim itself.

Whoever needs both locks takes the task's row first, then the breaker's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    Insert,
    ScalarSelect,
    Update,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tasks_server.store.database import now_ms
from tasks_server.store.statements.terms import CHANGED, IN_TIME, Selection, t, waits
from tasks_server.store.statements.window import rank_in_backlog
from tasks_server.store.tables import BREAKER, TASK
from tasks_server.task import Method, PausedBy

b = BREAKER.c
# When a task behind a breaker is announced again although nobody has let it go: only if everybody forgot it.
FORGOTTEN_AFTER_MS = 10 * 60 * 1000

# How long after a pause the task that should be the probe may keep others from it.
PRECEDENCE_MS = 30_000

# Written out, because no database uses a partial index for a value it does not know.
BREAKER_WORD: ColumnElement[str] = literal_column(f"'{PausedBy.BREAKER}'")
IS_BEHIND: ColumnElement[bool] = t.paused_by == BREAKER_WORD
# In a statement about a task: its tool may be started.
MAY_START: ColumnElement[bool] = or_(
    t.method != Method.CALL_TOOL,
    ~exists(select(b.tool).where(b.tool == t.name, b.opened_at.is_not(None))),
)


def failures_of_its_tool() -> ScalarSelect[int | None]:
    """In a statement about a task: how often its tool has failed in a row; NULL without a breaker."""
    return select(b.failures).where(b.tool == t.name).scalar_subquery()


def lock_if_waiting(task_id: str, attempt: int) -> Update:
    """Take the row's lock, if the task still waits for a worker under this attempt."""
    return (
        update(TASK)
        .where(waits(task_id, attempt), t.method == Method.CALL_TOOL, IN_TIME)
        .values(attempt=t.attempt)
        .returning(t.id, t.name, t.retries_used, t.created_at)
    )


def lock_if_open(tool: str) -> Update:
    """Take the breaker's lock and read it, if it is open."""
    return (
        update(BREAKER)
        .where(b.tool == tool, b.opened_at.is_not(None))
        .values(failures=b.failures)
        .returning(*BREAKER.c)
    )


def take_probe(breaker: Any, task: Any) -> Update:
    """Let this task try the tool, if the pause is over and nobody tries it: a probe lives by its task's lease.

    It has to be its turn. But the one whose turn it is may be one that nobody can run, so that precedence ends.

    Only under the breaker's lock: PostgreSQL must begin the statement, and look at leases, after the lock is taken.
    """
    probe = TASK.alias("probe")
    is_probed = exists(
        select(probe.c.id).where(probe.c.id == b.probe_task, probe.c.lease_worker.is_not(None))
    )
    return (
        update(BREAKER)
        .where(
            b.tool == breaker.tool,
            b.open_until <= now_ms(),
            ~is_probed,
            or_(b.open_until <= now_ms() - PRECEDENCE_MS, ~_another_comes_before(breaker, task)),
        )
        .values(probe_task=task.id)
        .returning(b.tool)
    )


def _another_comes_before(breaker: Any, task: Any) -> ColumnElement[bool]:
    other = first_behind(breaker.tool, except_for=breaker.failed_task).subquery("first_behind").c
    if task.id == breaker.failed_task:
        return exists(select(other.id))
    older = and_(other.retries_used == task.retries_used, other.created_at < task.created_at)
    comes_before = or_(other.retries_used > task.retries_used, older)
    return exists(select(other.id).where(other.id != task.id, comes_before))


def pause_behind(tool: str, task_id: str, open_until: int, message: str) -> Update:
    """A waiting task waits for its tool's breaker. Its row is locked."""
    over = case((now_ms() > open_until, now_ms()), else_=literal(open_until, BigInteger))
    return (
        update(TASK)
        .where(t.id == task_id)
        .values(
            paused_by=PausedBy.BREAKER,
            announced_at=None,
            backlog_rank=None,
            next_dispatch_at=over + FORGOTTEN_AFTER_MS,
            dispatch_count=0,
            status_message=message,
            **CHANGED,
        )
        .returning(t.updated_at)
    )


def count_failure(tool: str, task_id: str, error: str, cooldown_ms: int, *, is_sqlite: bool) -> Insert:
    """Another failure in a row; one more of the same task says nothing new about the tool, unless it is the probe."""
    dialect = sqlite if is_sqlite else postgresql
    seen = {"failed_task": task_id, "last_error": error}
    first = dialect.insert(BREAKER).values(tool=tool, failures=1, cooldown_ms=cooldown_ms, **seen)
    is_more = or_(b.failures == 0, b.failed_task.is_distinct_from(task_id), b.probe_task == task_id)
    counted = case((is_more, b.failures + 1), else_=b.failures)
    return first.on_conflict_do_update(index_elements=[b.tool], set_={"failures": counted, **seen})


def open_if_due(tool: str, task_id: str, threshold: int, longest_cooldown_ms: int) -> Update:
    """Open at the threshold, or again when the probe has failed, and then for longer next time."""
    is_due = or_(b.probe_task == task_id, (b.opened_at.is_(None)) & (b.failures >= threshold))
    doubled = case((b.cooldown_ms * 2 > longest_cooldown_ms, longest_cooldown_ms), else_=b.cooldown_ms * 2)
    return (
        update(BREAKER)
        .where(b.tool == tool, is_due)
        .values(opened_at=now_ms(), open_until=now_ms() + b.cooldown_ms, cooldown_ms=doubled, probe_task=None)
        .returning(*BREAKER.c)
    )


def close_if_probe(tool: str, task_id: str, cooldown_ms: int) -> Update:
    """The probe has succeeded."""
    return (
        update(BREAKER)
        .where(b.tool == tool, b.probe_task == task_id)
        .values(failures=0, opened_at=None, open_until=None, probe_task=None, cooldown_ms=cooldown_ms)
        .returning(b.tool)
    )


def forget_failures(tool: str) -> Update:
    """A success ends the row of failures. An open breaker is not impressed by calls that began before."""
    return update(BREAKER).where(b.tool == tool, b.opened_at.is_(None)).values(failures=0)


def delete_if_idle(tool: str) -> Delete:
    return delete(BREAKER).where(b.tool == tool, b.opened_at.is_(None), b.failures == 0)


# --- what waits behind them -------------------------------------------------------------------------------------


def breakers() -> Selection:
    """All of them; is_over: the pause is, and a probe may be made."""
    return select(*BREAKER.c, (b.open_until <= now_ms()).label("is_over")).order_by(b.tool)


def probe_that_runs(task_id: str) -> Selection:
    return select(t.id).where(t.id == task_id, t.lease_worker.is_not(None))


def first_behind(tool: str, *, except_for: str | None = None) -> Selection:
    """The task that has been retried most; of several the oldest."""
    behind = TASK.alias("behind")
    most = (
        select(func.max(behind.c.retries_used))
        .where(behind.c.paused_by == BREAKER_WORD, behind.c.name == tool, behind.c.id != (except_for or ""))
        .scalar_subquery()
    )
    return (
        select(t.id, t.attempt, t.queue, t.owner, t.retries_used, t.created_at)
        .where(IS_BEHIND, t.name == tool, t.id != (except_for or ""), t.retries_used == most)
        .order_by(t.created_at)
        .limit(1)
    )


def correct_behind(tool: str, open_until: int, message: str, limit: int) -> Update:
    """Tell tasks that were paused before the breaker opened again until when they wait now."""
    until = open_until + FORGOTTEN_AFTER_MS
    return (
        _update_behind(tool, limit, t.next_dispatch_at < until)
        .values(next_dispatch_at=until, status_message=message, **CHANGED)
        .returning(t.id)
    )


def release_behind(tool: str, limit: int) -> Update:
    """Tasks that need not wait any longer go into the line behind their owner's dispatch window."""
    return (
        _update_behind(tool, limit)
        .values(
            paused_by=None,
            backlog_rank=rank_in_backlog(),
            next_dispatch_at=now_ms(),
            status_message=None,
            **CHANGED,
        )
        .returning(t.id, t.updated_at, t.owner, t.queue)
    )


def _update_behind(tool: str, limit: int, *conditions: ColumnElement[bool]) -> Update:
    batch = (
        select(t.id)
        .where(IS_BEHIND, t.name == tool, *conditions)
        .order_by(t.next_dispatch_at)
        .limit(limit)
        .with_for_update(skip_locked=True)  # several workers take several batches
    )
    return update(TASK).where(t.id.in_(batch), IS_BEHIND)
