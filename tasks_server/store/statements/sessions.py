"""Sessions of clients. A row is made by the first change: until then a session is what its token says."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Delete, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from tasks_server.store.database import began_ms, now_ms
from tasks_server.store.statements.given import is_given
from tasks_server.store.statements.terms import Selection
from tasks_server.store.tables import SESSION, SESSION_SUBSCRIPTION

s = SESSION.c
u = SESSION_SUBSCRIPTION.c


@cache
def sessions_by_id(*, is_sqlite: bool) -> Selection:
    """The given sessions."""
    return select(SESSION).where(is_given(s.id, is_sqlite=is_sqlite), s.expires_at > now_ms())


def put_session(
    session_id: str, owner: str, life_ms: int, values: dict[str, Any], *, is_sqlite: bool
) -> ReturningInsert[Any]:
    """Change a session, which is made if need be and then kept for its whole life. Of another owner's nothing changes.

    In a transaction it also takes the row's lock.
    """
    dialect = sqlite if is_sqlite else postgresql
    put = dialect.insert(SESSION).values(id=session_id, owner=owner, expires_at=now_ms() + life_ms, **values)
    return put.on_conflict_do_update(
        index_elements=[s.id],
        set_={**values, "expires_at": put.excluded.expires_at},
        where=s.owner == put.excluded.owner,
    ).returning(s.id)


def subscriptions_of(session_id: str, owner: str) -> Selection:
    return (
        select(u.uri).join(SESSION, s.id == u.session_id).where(u.session_id == session_id, s.owner == owner)
    )


def insert_subscription(session_id: str, uri: str, *, is_sqlite: bool) -> Any:
    dialect = sqlite if is_sqlite else postgresql
    return (
        dialect.insert(SESSION_SUBSCRIPTION).values(session_id=session_id, uri=uri).on_conflict_do_nothing()
    )


def delete_subscription(session_id: str, uri: str) -> Delete:
    return delete(SESSION_SUBSCRIPTION).where(u.session_id == session_id, u.uri == uri)


def delete_subscriptions(session_id: str) -> Delete:
    return delete(SESSION_SUBSCRIPTION).where(u.session_id == session_id)


def delete_expired(limit: int) -> ReturningDelete[Any]:
    """Sessions whose tokens nobody accepts any more, except those that somebody else is deleting."""
    chosen = (
        select(s.id)
        .where(s.expires_at <= began_ms())
        .order_by(s.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).cte("chosen")
    return delete(SESSION).where(s.id.in_(select(chosen.c.id)), s.expires_at <= began_ms()).returning(s.id)
