"""Which files of the artifact store the record needs."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import and_, select

from tasks_server.store.statements.terms import Selection, t
from tasks_server.store.tables import ARTIFACT, TASK


def needed_files(task_ids: Collection[str], locations: Collection[str]) -> Selection:
    """Those of these tasks that are there, with those of these files that they refer to, as one snapshot."""
    named = and_(ARTIFACT.c.task_id == t.id, ARTIFACT.c.location.in_(locations))
    return (
        select(t.id, t.finished_at, ARTIFACT.c.location)
        .select_from(TASK.outerjoin(ARTIFACT, named))
        .where(t.id.in_(task_ids))
    )
