"""Every statement that touches the record, one named function each.

Statements are built, never run, here. A guard belongs to the statement: what a worker writes carries the
attempt and the lease it was claimed under, what ends a task requires that it is open, and a statement whose
guard does not hold changes no row and returns none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Select,
    Update,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tasks_server.store.database import now_ms
from tasks_server.store.tables import ARTIFACT, CHECKPOINT, INPUT_REQUEST, MANIFEST, TASK, TASK_EVENT, WORKER
from tasks_server.task import OPEN, OutcomeKind, STATUS_OF_OUTCOME, TaskStatus

t = TASK.c
q = INPUT_REQUEST.c

IS_OPEN = t.status.in_([str(status) for status in sorted(OPEN)])
NOT_EXPIRED = or_(t.finished_at.is_(None), t.expires_at.is_(None), t.expires_at > now_ms())
IS_OUTSTANDING = and_(q.response.is_(None), q.withdrawn_at.is_(None))

# A waiting task that nobody claimed is announced again after this, doubled each time up to the cap.
REDISPATCH_AFTER_MS = 2_000
REDISPATCH_AT_MOST_MS = 60_000


def clock() -> Select[Any]:
    """The database's time."""
    return select(now_ms())


# --- reading -------------------------------------------------------------------------------------------------


def tasks_by_id(ids: Sequence[str]) -> Select[Any]:
    """These tasks, a row for each outstanding question (or one row without), as one consistent snapshot.

    A finished task past its time is as good as gone.
    """
    return (
        select(TASK, q.key.label("question_key"), q.request.label("question"))
        .outerjoin(INPUT_REQUEST, and_(q.task_id == t.id, IS_OUTSTANDING, IS_OPEN))
        .where(t.id.in_(ids), NOT_EXPIRED)
        .order_by(q.asked_at, q.key)
    )


def questions_of(task_id: str) -> Select[Any]:
    """Every question of a task with its answer, oldest first."""
    return (
        select(q.key, q.ordinal, q.request, q.response, q.withdrawn_at)
        .where(q.task_id == task_id)
        .order_by(q.asked_at, q.key)
    )


def checkpoint(task_id: str, name: str) -> Select[Any]:
    return select(CHECKPOINT.c.value).where(CHECKPOINT.c.task_id == task_id, CHECKPOINT.c.name == name)


def artifact(owner: str, task_id: str, name: str) -> Select[Any]:
    """An artifact of a task of this owner, unless the task is past its time."""
    return (
        select(ARTIFACT)
        .join(TASK, t.id == ARTIFACT.c.task_id)
        .where(
            ARTIFACT.c.task_id == task_id,
            ARTIFACT.c.name == name,
            t.owner == owner,
            NOT_EXPIRED,
        )
    )


def tasks_to_dispatch(limit: int) -> Select[Any]:
    """Waiting tasks whose announcement is due."""
    return (
        select(t.id, t.attempt, t.queue)
        .where(t.next_dispatch_at <= now_ms())
        .order_by(t.next_dispatch_at)
        .limit(limit)
    )


def tasks_with_expired_lease(limit: int) -> Select[Any]:
    return select(TASK).where(t.lease_until < now_ms()).order_by(t.lease_until).limit(limit)


def finished_tasks_past_expiry(limit: int) -> Select[Any]:
    return (
        select(t.id)
        .where(t.expires_at <= now_ms(), t.finished_at.is_not(None))
        .order_by(t.expires_at)
        .limit(limit)
    )


def artifacts_of(ids: Sequence[str]) -> Select[Any]:
    return select(ARTIFACT.c.task_id, ARTIFACT.c.location).where(ARTIFACT.c.task_id.in_(ids))


def workers_seen_within(absence_ms: int) -> Select[Any]:
    """Workers that were there lately, in the order they started, with how long they have been silent."""
    w = WORKER.c
    silent_for = (now_ms() - w.renewed_at).label("silent_ms")
    return (
        select(w.id, w.manifest_digest, w.stopped_at, silent_for)
        .where(w.renewed_at > now_ms() - absence_ms)
        .order_by(w.started_at, w.id)
    )


def manifests(digests: Sequence[str]) -> Select[Any]:
    return select(MANIFEST).where(MANIFEST.c.digest.in_(digests))


# --- creating ------------------------------------------------------------------------------------------------


def insert_tasks() -> Insert:
    return insert(TASK)


def insert_questions() -> Insert:
    return insert(INPUT_REQUEST)


def insert_events() -> Insert:
    """Only after a statement that locked the task's row in the same transaction: ids then follow commits."""
    return insert(TASK_EVENT)


# --- a worker's writes: fenced by attempt and lease ----------------------------------------------------------


def _held(task_id: str, attempt: int, worker: str) -> ColumnElement[bool]:
    return and_(t.id == task_id, t.attempt == attempt, t.lease_worker == worker, IS_OPEN)


_CHANGED: dict[str, Any] = {"revision": t.revision + 1, "updated_at": now_ms()}
_UNLEASED: dict[str, Any] = {"lease_worker": None, "lease_until": None}


def claim_if_waiting(task_id: str, attempt: int, worker: str, lease_ms: int) -> Update:
    """Take a waiting task; whoever comes second, or with an older attempt, gets no row."""
    return (
        update(TASK)
        .where(
            t.id == task_id,
            t.attempt == attempt,
            t.status == TaskStatus.WORKING,
            t.lease_worker.is_(None),
            t.cancel_requested_at.is_(None),
        )
        .values(
            lease_worker=worker,
            lease_until=now_ms() + lease_ms,
            started_at=func.coalesce(t.started_at, now_ms()),
            next_dispatch_at=None,
            dispatch_count=0,
            status_message=None,
            **_CHANGED,
        )
        .returning(*TASK.c)
    )


def renew_leases(worker: str, lease_ms: int) -> Update:
    """Prolong everything this worker holds; what it believes to hold but gets no row for, it has lost."""
    return (
        update(TASK)
        .where(t.lease_worker == worker, IS_OPEN)
        .values(lease_until=now_ms() + lease_ms)
        .returning(t.id, t.attempt, t.cancel_requested_at)
    )


def standing(task_id: str, attempt: int, worker: str) -> Select[Any]:
    """A held task's cancel request, if the worker still holds it."""
    return select(t.cancel_requested_at).where(_held(task_id, attempt, worker))


def report_if_held(task_id: str, attempt: int, worker: str, values: dict[str, Any]) -> Update:
    """Progress or a status message, from the worker that holds the task."""
    return (
        update(TASK).where(_held(task_id, attempt, worker)).values(**values, **_CHANGED).returning(t.revision)
    )


def lock_if_held(task_id: str, attempt: int, worker: str) -> Update:
    """Take the row's lock for a write beside the task itself (a checkpoint, a log line)."""
    return (
        update(TASK).where(_held(task_id, attempt, worker)).values(lease_until=t.lease_until).returning(t.id)
    )


def require_input_if_held(task_id: str, attempt: int, worker: str) -> Update:
    """working → input_required, with the question inserted in the same transaction."""
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker), t.cancel_requested_at.is_(None))
        .values(status=TaskStatus.INPUT_REQUIRED, **_CHANGED)
        .returning(t.revision)
    )


def park_if_asking(task_id: str, attempt: int, worker: str) -> Update:
    """Give up slot and lease while a question is open. The next run is a new attempt, and not a retry."""
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker), t.status == TaskStatus.INPUT_REQUIRED)
        .values(attempt=t.attempt + 1, **_UNLEASED)
        .returning(t.attempt)
    )


def finish_if_held(
    task_id: str, attempt: int, worker: str, kind: OutcomeKind, outcome: str | None, values: dict[str, Any]
) -> Update:
    """→ completed, failed or cancelled, by the worker that holds the task."""
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker))
        .values(**values, **_finished(kind, outcome))
        .returning(*TASK.c)
    )


def release_if_held(task_id: str, attempt: int, worker: str) -> Update:
    """Hand a task back to the queue uncharged: the worker is shutting down. A question stays open, parked."""
    return (
        update(TASK)
        .where(_held(task_id, attempt, worker))
        .values(
            attempt=t.attempt + 1,
            next_dispatch_at=case(
                (t.status == TaskStatus.WORKING, now_ms() + REDISPATCH_AFTER_MS), else_=None
            ),
            **_UNLEASED,
        )
        .returning(*TASK.c)
    )


def insert_checkpoint() -> Insert:
    return insert(CHECKPOINT)


def delete_artifact(task_id: str, name: str) -> Delete:
    return delete(ARTIFACT).where(ARTIFACT.c.task_id == task_id, ARTIFACT.c.name == name)


def insert_artifact() -> Insert:
    return insert(ARTIFACT)


def withdraw_question(task_id: str, key: str) -> Update:
    return (
        update(INPUT_REQUEST)
        .where(q.task_id == task_id, q.key == key, IS_OUTSTANDING)
        .values(withdrawn_at=now_ms())
    )


# --- a client's writes: scoped by owner ----------------------------------------------------------------------


def lock_task_of(owner: str, task_id: str) -> Update:
    """Take the row's lock and read it, if it is this owner's and not yet finished."""
    return (
        update(TASK)
        .where(t.id == task_id, t.owner == owner, IS_OPEN)
        .values(attempt=t.attempt)
        .returning(*TASK.c)
    )


def answer_question(task_id: str, key: str, response: str) -> Update:
    return (
        update(INPUT_REQUEST)
        .where(q.task_id == task_id, q.key == key, IS_OUTSTANDING)
        .values(response=response, answered_at=now_ms())
        .returning(q.key)
    )


def touch_if_open(task_id: str) -> Update:
    """Something a client can see has changed beside the row itself: a question fewer."""
    return update(TASK).where(t.id == task_id, IS_OPEN).values(**_CHANGED).returning(*TASK.c)


def resume_if_asking(task_id: str) -> Update:
    """input_required → working. A parked task waits for a worker again; a held one goes on where it is."""
    parked = t.lease_worker.is_(None)
    return (
        update(TASK)
        .where(t.id == task_id, t.status == TaskStatus.INPUT_REQUIRED)
        .values(
            status=TaskStatus.WORKING,
            next_dispatch_at=case((parked, now_ms() + REDISPATCH_AFTER_MS), else_=None),
            **_CHANGED,
        )
        .returning(*TASK.c)
    )


def cancel_if_unheld(owner: str, task_id: str) -> Update:
    """→ cancelled at once, for a task no worker is busy with."""
    return (
        update(TASK)
        .where(t.id == task_id, t.owner == owner, IS_OPEN, t.lease_worker.is_(None))
        .values(
            cancel_requested_at=func.coalesce(t.cancel_requested_at, now_ms()),
            **_finished(OutcomeKind.CANCELLED, None),
        )
        .returning(*TASK.c)
    )


def request_cancel_if_held(owner: str, task_id: str) -> Update:
    """Ask the worker that holds the task to stop it; the worker ends it as cancelled."""
    return (
        update(TASK)
        .where(
            t.id == task_id,
            t.owner == owner,
            IS_OPEN,
            t.lease_worker.is_not(None),
            t.cancel_requested_at.is_(None),
        )
        .values(cancel_requested_at=now_ms(), status_message="Cancelling", **_CHANGED)
        .returning(*TASK.c)
    )


# --- maintenance: each guarded by what it saw ----------------------------------------------------------------


def mark_dispatched(ids: Iterable[str]) -> Update:
    """Announced again; the next announcement is twice as far away."""
    pause = case(
        (t.dispatch_count >= 5, REDISPATCH_AT_MOST_MS),
        *((t.dispatch_count == n, REDISPATCH_AFTER_MS * 2**n) for n in range(5)),
        else_=REDISPATCH_AT_MOST_MS,
    )
    return (
        update(TASK)
        .where(t.id.in_(list(ids)), t.next_dispatch_at.is_not(None))
        .values(next_dispatch_at=now_ms() + pause, dispatch_count=t.dispatch_count + 1)
    )


def dispatch_everything_waiting() -> Update:
    """The queue has forgotten everything: every waiting task is due."""
    return (
        update(TASK)
        .where(t.next_dispatch_at.is_not(None))
        .values(next_dispatch_at=now_ms(), dispatch_count=0)
    )


def _lease_expired(task_id: str, attempt: int) -> ColumnElement[bool]:
    return and_(t.id == task_id, t.attempt == attempt, t.lease_until < now_ms(), IS_OPEN)


def rescue_if_lease_expired(task_id: str, attempt: int) -> Update:
    """The holder is dead or cut off: the task waits for another worker, as a new attempt that costs a retry."""
    return (
        update(TASK)
        .where(_lease_expired(task_id, attempt), t.status == TaskStatus.WORKING)
        .values(
            attempt=t.attempt + 1,
            retries_used=t.retries_used + 1,
            next_dispatch_at=now_ms() + REDISPATCH_AFTER_MS,
            status_message="The worker was lost; waiting for another one",
            **_UNLEASED,
            **_CHANGED,
        )
        .returning(*TASK.c)
    )


def park_if_lease_expired(task_id: str, attempt: int) -> Update:
    """The holder died while its question was open: nothing is lost, the task is parked."""
    return (
        update(TASK)
        .where(_lease_expired(task_id, attempt), t.status == TaskStatus.INPUT_REQUIRED)
        .values(attempt=t.attempt + 1, **_UNLEASED)
        .returning(*TASK.c)
    )


def finish_if_lease_expired(
    task_id: str, attempt: int, kind: OutcomeKind, outcome: str | None, message: str
) -> Update:
    """→ failed or cancelled in the name of a worker that will not come back."""
    return (
        update(TASK)
        .where(_lease_expired(task_id, attempt))
        .values(status_message=message, **_finished(kind, outcome))
        .returning(*TASK.c)
    )


def extend_unfinished(within_ms: int) -> Update:
    """Unfinished work does not expire: its time is prolonged before it runs out."""
    return (
        update(TASK)
        .where(t.expires_at < now_ms() + within_ms, t.finished_at.is_(None), t.retention_ms.is_not(None))
        .values(
            ttl_ms=now_ms() - t.created_at + t.retention_ms, expires_at=now_ms() + t.retention_ms, **_CHANGED
        )
        .returning(t.id, t.revision)
    )


def delete_finished(ids: Sequence[str]) -> Delete:
    return delete(TASK).where(t.id.in_(ids), t.finished_at.is_not(None), t.expires_at <= now_ms())


def delete_workers_silent_for(absence_ms: int) -> Delete:
    return delete(WORKER).where(WORKER.c.renewed_at <= now_ms() - absence_ms)


# --- workers and what they offer -----------------------------------------------------------------------------


def insert_manifest(digest: str, content: str, *, is_sqlite: bool) -> Insert:
    """Publish a manifest unless an equal one is there."""
    dialect = sqlite if is_sqlite else postgresql
    return dialect.insert(MANIFEST).values(digest=digest, content=content).on_conflict_do_nothing()


def insert_worker() -> Insert:
    return insert(WORKER)


def offer_manifest(worker: str, digest: str) -> Update:
    return (
        update(WORKER)
        .where(WORKER.c.id == worker)
        .values(manifest_digest=digest, renewed_at=now_ms(), stopped_at=None)
        .returning(WORKER.c.id)
    )


def renew_worker(worker: str) -> Update:
    return update(WORKER).where(WORKER.c.id == worker).values(renewed_at=now_ms()).returning(WORKER.c.id)


def stop_worker(worker: str) -> Update:
    return update(WORKER).where(WORKER.c.id == worker).values(stopped_at=now_ms(), renewed_at=now_ms())


def _finished(kind: OutcomeKind, outcome: str | None) -> dict[str, Any]:
    """Columns of a finished task. How long it is kept counts from its end, so the ttl is settled now."""
    return {
        "status": STATUS_OF_OUTCOME[kind],
        "outcome_kind": kind,
        "outcome": outcome,
        "finished_at": now_ms(),
        "next_dispatch_at": None,
        "ttl_ms": now_ms() - t.created_at + t.retention_ms,
        "expires_at": now_ms() + t.retention_ms,
        **_UNLEASED,
        **_CHANGED,
    }
