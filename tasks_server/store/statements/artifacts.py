"""Which files of the artifact store the record needs, and whose store it is."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Insert, and_, select
from sqlalchemy.dialects import postgresql, sqlite

from tasks_server.store.statements.terms import Selection, t
from tasks_server.store.tables import ARTIFACT, IDENTITY, TASK


def needed_files(task_ids: Collection[str], locations: Collection[str]) -> Selection:
    """Those of these tasks that are there, with those of these files that they refer to, as one snapshot."""
    named = and_(ARTIFACT.c.task_id == t.id, ARTIFACT.c.location.in_(locations))
    return (
        select(t.id, t.finished_at, ARTIFACT.c.location)
        .select_from(TASK.outerjoin(ARTIFACT, named))
        .where(t.id.in_(task_ids))
    )


def insert_identity(name: str, *, is_sqlite: bool) -> Insert:
    """Name this record, unless it has a name."""
    dialect = sqlite if is_sqlite else postgresql
    return dialect.insert(IDENTITY).values(one=1, name=name).on_conflict_do_nothing()


def identity() -> Selection:
    return select(IDENTITY.c.name)
