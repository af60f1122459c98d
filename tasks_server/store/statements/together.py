"""What workers do most often, for any number of tasks at once: one statement takes them, one ends them.

Nobody is waited for. Whatever a statement leaves out, because somebody else has locked it, or because its guard does
not hold, is for the caller to do alone, by the statements in `claims` and `ends`. Built once, and planned once.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    BigInteger,
    Executable,
    Text,
    and_,
    bindparam,
    case,
    func,
    insert,
    select,
    true,
    tuple_,
    update,
)

from tasks_server.store.database import now_ms
from tasks_server.store.statements.breakers import MAY_START
from tasks_server.store.statements.claims import STARTED, around_claimed
from tasks_server.store.statements.given import FRACTION, NUMBER, TEXT, Given
from tasks_server.store.statements.terms import IN_TIME, IS_OPEN, finished_as, t
from tasks_server.store.tables import TASK, TASK_EVENT
from tasks_server.task import TaskStatus

_WAITS = and_(t.status == TaskStatus.WORKING, t.lease_worker.is_(None))


@cache
def claim_all_waiting(*, is_sqlite: bool) -> tuple[Executable, Given]:
    """Take those of the given tasks that wait under the given attempts. Binds worker, lease_ms.

    On PostgreSQL the same statement logs the attempts, with `kind` and `worker_json`: nothing goes before or after it.
    """
    wanted = Given({"id": TEXT, "attempt": NUMBER}, is_sqlite=is_sqlite)
    chosen = (
        select(t.id, t.attempt)
        .select_from(TASK.join(wanted.source, and_(t.id == wanted["id"], t.attempt == wanted["attempt"])))
        .where(_WAITS, IN_TIME, MAY_START)
        .with_for_update(skip_locked=True, key_share=True, of=TASK)
        .cte("chosen")
    )
    claim = (
        update(TASK)
        .where(tuple_(t.id, t.attempt).in_(select(chosen.c.id, chosen.c.attempt)), _WAITS)
        .values(
            lease_worker=bindparam("worker", type_=Text),
            lease_until=now_ms() + bindparam("lease_ms", type_=BigInteger),
            **STARTED,
        )
        .returning(*TASK.c, *around_claimed())
    )
    if is_sqlite:
        return claim, wanted
    claimed = claim.cte("claimed")
    body = func.concat(
        '{"attempt":', claimed.c.attempt, ',"worker":', bindparam("worker_json", type_=Text), "}"
    )
    events = select(claimed.c.id, claimed.c.updated_at, bindparam("kind", type_=Text), body)
    log = insert(TASK_EVENT).from_select(["task_id", "at", "kind", "body"], events)
    # A claim that a crash undoes is no loss: the task waits again, and whoever had it is fenced off. So nobody waits
    # for the disk.
    not_durable = func.set_config("synchronous_commit", "off", True)
    return select(claimed, not_durable).add_cte(log.cte("logged")), wanted


@cache
def finish_all_held(*, is_sqlite: bool) -> tuple[Executable, Given]:
    """→ completed, failed or cancelled, those of the given tasks that the worker holds. Binds worker."""
    columns = {"id": TEXT, "attempt": NUMBER, "status": TEXT, "kind": TEXT, "outcome": TEXT}
    said = {"message": TEXT, "progress": FRACTION, "total": FRACTION}
    end = Given(columns | said, is_sqlite=is_sqlite)
    is_held = and_(
        t.id == end["id"], t.attempt == end["attempt"], t.lease_worker == bindparam("worker"), IS_OPEN
    )
    unlocked = (
        select(t.id)
        .select_from(TASK.join(end.source, is_held))
        .with_for_update(skip_locked=True, key_share=True, of=TASK)
        .cte("unlocked")
    )
    has_progress = end["progress"].is_not(None)
    change = (
        update(TASK)
        .where(is_held, true() if is_sqlite else t.id.in_(select(unlocked.c.id)))
        .values(
            status_message=end["message"],
            progress=case((has_progress, end["progress"]), else_=t.progress),
            progress_total=case((has_progress, end["total"]), else_=t.progress_total),
            **finished_as(end["status"], end["kind"], end["outcome"]),
        )
        .returning(t.id, t.owner, t.method, t.name)
    )
    return change, end


@cache
def log_events() -> tuple[Executable, Given]:
    """For SQLite: insert the given events, of tasks whose rows are locked."""
    events = Given({"task_id": TEXT, "at": NUMBER, "kind": TEXT, "body": TEXT}, is_sqlite=True)
    names = ["task_id", "at", "kind", "body"]
    rows = select(*(events[name] for name in names)).select_from(events.source)
    return insert(TASK_EVENT).from_select(names, rows).returning(TASK_EVENT.c.id), events
