"""Workers and what they offer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Delete, Insert, Update, delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tasks_server.store.database import now_ms
from tasks_server.store.statements.terms import Selection
from tasks_server.store.tables import MANIFEST, WORKER

_IS_UNUSED = ~exists().where(WORKER.c.manifest_digest == MANIFEST.c.digest)


def workers_seen_within(absence_ms: int) -> Selection:
    """Workers that were there lately, in the order they started, with how long they have been silent."""
    w = WORKER.c
    silent_for = (now_ms() - w.renewed_at).label("silent_ms")
    # A new worker gets the time since its start to look into its queues for the first time.
    idle_for = (now_ms() - func.coalesce(w.picked_at, w.started_at)).label("unpicked_ms")
    return (
        select(w.id, w.manifest_digest, w.stopped_at, silent_for, idle_for, w.trouble)
        .where(w.renewed_at > now_ms() - absence_ms)
        .order_by(w.started_at, w.id)
    )


def manifests(digests: Sequence[str]) -> Selection:
    return select(MANIFEST).where(MANIFEST.c.digest.in_(digests))


def insert_manifest(digest: str, content: str, *, is_sqlite: bool) -> Insert:
    """Publish a manifest. An equal one stays, locked, so that nobody deletes it before its worker refers to it."""
    dialect = sqlite if is_sqlite else postgresql
    insert = dialect.insert(MANIFEST).values(digest=digest, content=content)
    return insert.on_conflict_do_update(index_elements=["digest"], set_={"digest": insert.excluded.digest})


def unused_manifests() -> Selection:
    """Manifests that no worker refers to, locked, except those that are just being published."""
    return select(MANIFEST.c.digest).where(_IS_UNUSED).with_for_update(skip_locked=True)


def delete_manifests_if_unused(digests: Sequence[str]) -> Delete:
    return delete(MANIFEST).where(MANIFEST.c.digest.in_(digests), _IS_UNUSED)


def insert_worker() -> Insert:
    return insert(WORKER)


def offer_manifest(worker: str, digest: str) -> Update:
    return (
        update(WORKER)
        .where(WORKER.c.id == worker)
        .values(manifest_digest=digest, renewed_at=now_ms(), stopped_at=None)
        .returning(WORKER.c.id)
    )


def renew_worker(worker: str, picked_ago_ms: int | None, trouble: str | None) -> Update:
    values: dict[str, Any] = {"renewed_at": now_ms(), "trouble": trouble}
    if picked_ago_ms is not None:
        values["picked_at"] = now_ms() - picked_ago_ms
    return update(WORKER).where(WORKER.c.id == worker).values(**values).returning(WORKER.c.id)


def stop_worker(worker: str) -> Update:
    return update(WORKER).where(WORKER.c.id == worker).values(stopped_at=now_ms(), renewed_at=now_ms())


def delete_workers_silent_for(absence_ms: int) -> Delete:
    return delete(WORKER).where(WORKER.c.renewed_at <= now_ms() - absence_ms)


def delete_workers(workers: Collection[str]) -> Delete:
    return delete(WORKER).where(WORKER.c.id.in_(workers))
