"""Which workers there are, and what they offer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from tasks_server.manifest import Manifest
from tasks_server.store.database import Database
from tasks_server.store.statements import roster as roster_sql
from tasks_server.store.statements import terms as terms_sql


@dataclass(frozen=True, slots=True)
class Presence:
    """A worker as the record knows it. Workers are listed oldest first.

    silent_ms: since it last renewed. unpicked_ms: since it last looked into its queues. trouble: what its
    maintenance fails at.
    """

    worker_id: str
    manifest_digest: str
    silent_ms: int
    stopped: bool
    unpicked_ms: int
    trouble: str | None


class Roster:
    """Workers write themselves in and renew; servers read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._manifests: dict[str, Manifest] = {}

    async def enter(
        self, worker_id: str, *, host: str, pid: int, concurrency: int, manifest: Manifest
    ) -> None:
        """Write a worker in, with what it offers."""
        digest = manifest.digest()
        async with self._database.transaction() as connection:
            await self._publish(connection, manifest, digest)
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            row = {
                "id": worker_id,
                "host": host,
                "pid": pid,
                "concurrency": concurrency,
                "manifest_digest": digest,
                "started_at": now,
                "renewed_at": now,
            }
            await connection.execute(roster_sql.insert_worker(), [row])

    async def offer(self, worker_id: str, manifest: Manifest) -> bool:
        """Replace what a worker offers. False: the worker has been forgotten and must enter again."""
        digest = manifest.digest()
        async with self._database.transaction() as connection:
            await self._publish(connection, manifest, digest)
            return (
                await connection.execute(roster_sql.offer_manifest(worker_id, digest))
            ).one_or_none() is not None

    async def _publish(self, connection: AsyncConnection, manifest: Manifest, digest: str) -> None:
        insert = roster_sql.insert_manifest(
            digest, manifest.model_dump_json(), is_sqlite=self._database.is_sqlite
        )
        await connection.execute(insert)

    async def renew(
        self, worker_id: str, *, picked_ago_ms: int | None = None, trouble: str | None = None
    ) -> bool:
        """Say that the worker lives, and how it is. False: it has been forgotten and must enter again.

        picked_ago_ms: since it last looked into all of its queues, if it ever has.
        """
        renewal = roster_sql.renew_worker(worker_id, picked_ago_ms, trouble)
        async with self._database.writing() as connection:
            return (await connection.execute(renewal)).one_or_none() is not None

    async def leave(self, worker_id: str) -> None:
        """Say that the worker has stopped."""
        async with self._database.writing() as connection:
            await connection.execute(roster_sql.stop_worker(worker_id))

    async def forget(self, silent_for_ms: int) -> int:
        """Remove workers that have been silent for so long, and what nobody offers any more."""
        async with self._database.writing() as connection:
            workers = (await connection.execute(roster_sql.delete_workers_silent_for(silent_for_ms))).rowcount
        return workers + await self._forget_manifests()

    async def _forget_manifests(self) -> int:
        async with self._database.transaction() as connection:
            # Two statements: the second sees a worker that has entered since the first one looked.
            rows = (await connection.execute(roster_sql.unused_manifests())).all()
            if not rows:
                return 0
            digests = [row.digest for row in rows]
            return (await connection.execute(roster_sql.delete_manifests_if_unused(digests))).rowcount

    async def remove(self, worker_ids: Collection[str]) -> None:
        """Remove workers whatever they last said."""
        async with self._database.writing() as connection:
            await connection.execute(roster_sql.delete_workers(worker_ids))

    async def present(self, within_ms: int) -> Sequence[Presence]:
        """The workers that were there within this time, oldest first."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(roster_sql.workers_seen_within(within_ms))).all()
        return [
            Presence(
                row.id,
                row.manifest_digest,
                row.silent_ms,
                row.stopped_at is not None,
                row.unpicked_ms,
                row.trouble,
            )
            for row in rows
        ]

    async def manifests(self, digests: Sequence[str]) -> dict[str, Manifest]:
        """Manifests by digest. A digest names its content, so each is read once per process."""
        missing = [digest for digest in set(digests) if digest not in self._manifests]
        if missing:
            async with self._database.reading() as connection:
                for row in await connection.execute(roster_sql.manifests(missing)):
                    self._manifests[row.digest] = Manifest.model_validate_json(row.content)
        return {digest: self._manifests[digest] for digest in digests if digest in self._manifests}
