"""What can change about a client's session, shared by all replicas: its end, log level and subscriptions.

What cannot change (revision, capabilities, owner) travels in the sealed token that is the session's id, so most
sessions have no row here at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks_server.batch import Batch
from tasks_server.bus import Bus
from tasks_server.encoding import is_storable
from tasks_server.errors import SubscriptionRefused
from tasks_server.signals import SessionChanged
from tasks_server.store.database import Database, now_ms
from tasks_server.store.outage import is_outage
from tasks_server.store.statements import sessions as sessions_sql
from tasks_server.store.statements.given import given_ids

SESSION_SECONDS = 30 * 24 * 60 * 60
"""How long a session's token is good. Its row lives longer, because it is made and prolonged later."""

MOST_SUBSCRIPTIONS = 1_000
LONGEST_URI = 2_000
"""In bytes; an index cannot hold any text."""


@dataclass(frozen=True, slots=True)
class SessionState:
    id: str
    owner: str
    log_level: str | None
    ended: bool


class Sessions:
    """Whoever calls has opened the session's token, which names its owner: nothing of another owner's changes."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._batch: Batch[str, SessionState | None] = Batch(self._select, hits_all=is_outage)

    async def find(self, session_id: str) -> SessionState | None:
        """What has changed about a session; None when nothing has. Its owner is for the caller to compare."""
        return await self._batch.submit(session_id)

    async def subscriptions(self, session_id: str, owner: str) -> frozenset[str]:
        """The URIs whose changes the session wants to hear of."""
        async with self._database.reading() as connection:
            rows = await connection.execute(sessions_sql.subscriptions_of(session_id, owner))
            return frozenset(row.uri for row in rows)

    async def end(self, session_id: str, owner: str) -> None:
        """Revoke a session's token on every replica. Idempotent."""
        is_sqlite = self._database.is_sqlite
        async with self._database.transaction() as connection:
            ended = {"ended_at": now_ms()}
            put = sessions_sql.put_session(session_id, owner, _LIFE_MS, ended, is_sqlite=is_sqlite)
            if (await connection.execute(put)).one_or_none() is not None:
                await connection.execute(sessions_sql.delete_subscriptions(session_id))
        await self._bus.publish(SessionChanged(session_id))

    async def set_log_level(self, session_id: str, owner: str, level: str) -> None:
        await self._put(session_id, owner, log_level=level)

    async def subscribe(self, session_id: str, owner: str, uri: str) -> None:
        """Idempotent. Raises SubscriptionRefused for a URI that cannot be kept, and for one too many."""
        if not is_storable(uri) or len(uri.encode(errors="replace")) > LONGEST_URI:
            raise SubscriptionRefused(f"A URI to subscribe to has at most {LONGEST_URI} bytes, and no NUL.")
        is_sqlite = self._database.is_sqlite
        async with self._database.transaction() as connection:
            put = sessions_sql.put_session(session_id, owner, _LIFE_MS, {}, is_sqlite=is_sqlite)
            if (await connection.execute(put)).one_or_none() is None:
                return
            insert = sessions_sql.insert_subscription(session_id, uri, is_sqlite=is_sqlite)
            await connection.execute(insert)
            # Counted under the session's lock.
            rows = (await connection.execute(sessions_sql.subscriptions_of(session_id, owner))).all()
            if len(rows) > MOST_SUBSCRIPTIONS:
                raise SubscriptionRefused(
                    f"A session has at most {MOST_SUBSCRIPTIONS} subscriptions; unsubscribe from some first."
                )
        await self._bus.publish(SessionChanged(session_id))

    async def unsubscribe(self, session_id: str, owner: str, uri: str) -> None:
        """Idempotent."""
        if uri in await self.subscriptions(session_id, owner):
            async with self._database.writing() as connection:
                await connection.execute(sessions_sql.delete_subscription(session_id, uri))
            await self._bus.publish(SessionChanged(session_id))

    async def _put(self, session_id: str, owner: str, **values: Any) -> None:
        put = sessions_sql.put_session(
            session_id, owner, _LIFE_MS, values, is_sqlite=self._database.is_sqlite
        )
        async with self._database.writing() as connection:
            await connection.execute(put)
        await self._bus.publish(SessionChanged(session_id))

    async def _select(self, ids: Sequence[str]) -> Sequence[SessionState | None]:
        unique = [session_id for session_id in dict.fromkeys(ids) if is_storable(session_id)]
        is_sqlite = self._database.is_sqlite
        query = sessions_sql.sessions_by_id(is_sqlite=is_sqlite)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query, given_ids(unique, is_sqlite=is_sqlite))).all()
        found = {row.id: _state(row) for row in rows}
        return [found.get(session_id) for session_id in ids]


_LIFE_MS = SESSION_SECONDS * 1000


def _state(row: Any) -> SessionState:
    return SessionState(
        id=row.id,
        owner=row.owner,
        log_level=row.log_level,
        ended=row.ended_at is not None,
    )
