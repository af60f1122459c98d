"""Files that no row refers to and none ever will: a worker died between copying and recording, or while deleting."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from uuid import uuid4

from tasks_server.artifacts.files import FileStore, StoredFile
from tasks_server.errors import ArtifactStoreFailed, FileMissing
from tasks_server.store.database import Database
from tasks_server.store.statements import artifacts as artifacts_sql

log = logging.getLogger(__name__)

MARK = ".database"
MARK_BYTES = 32
SAFE_AGE_SECONDS = 24 * 60 * 60
REST_SECONDS = 6 * 60 * 60
_OURS = re.compile(r"[\w-]+/[0-9a-f]{32}", re.ASCII)


class Orphans:
    """Walks through the store again and again, some files at a time, with a rest after each round."""

    def __init__(self, database: Database, files: FileStore) -> None:
        self._database = database
        self._files = files
        self._round: AsyncIterator[Sequence[StoredFile]] | None = None
        self._next_round_at = 0.0

    async def collect(self) -> int:
        """Look at the next files and delete the orphans among them; how many. The store's failures are logged."""
        try:
            orphans = await self._among(await self._next_files())
            if orphans:
                await self._files.remove(orphans)
                log.info("Deleted %d files of artifacts that were never recorded", len(orphans))
        except ArtifactStoreFailed as error:
            log.warning("Orphaned artifacts cannot be collected: %s", error.__cause__ or error)
            self._rest()
            return 0
        return len(orphans)

    async def _next_files(self) -> Sequence[StoredFile]:
        if self._round is None:
            if time.monotonic() < self._next_round_at:
                return ()
            await self._check_owner()
            self._round = self._files.walk()
        files = await anext(self._round, None)
        if files is None:
            self._rest()
        return files or ()

    async def _check_owner(self) -> None:
        """The first database that looks leaves its name; another one would take everything here for orphans."""
        ours = await self._identity()
        mark = await self._mark()
        if mark is None:
            with suppress(ArtifactStoreFailed):  # somebody else was faster
                async with self._files.writing(MARK) as write:
                    await write(ours)
            mark = await self._mark()
        if mark != ours:
            raise ArtifactStoreFailed(
                f"The store belongs to another database: its file {MARK} says so. Give every database a directory, "
                "or a prefix of the bucket, of its own; delete that file if it is the other database that is gone."
            )

    async def _identity(self) -> bytes:
        name = artifacts_sql.insert_identity(uuid4().hex, is_sqlite=self._database.is_sqlite)
        async with self._database.writing() as connection:
            await connection.execute(name)
            return str((await connection.execute(artifacts_sql.identity())).scalar_one()).encode()

    async def _mark(self) -> bytes | None:
        try:
            async with self._files.reading(MARK, 0, MARK_BYTES) as opened:
                return b"".join([chunk async for chunk in opened.chunks])
        except FileMissing:
            return None

    def _rest(self) -> None:
        self._round = None
        self._next_round_at = time.monotonic() + REST_SECONDS

    async def _among(self, files: Sequence[StoredFile]) -> Sequence[str]:
        """Those that nothing refers to. The walk may be long ago: only what the record says now counts.

        A file can be recorded as long as its task is unfinished, whatever its age, and never afterwards. So a
        file of an ended task that has no row in the same snapshot will never have one.
        """
        old = [
            file for file in files if file.age_seconds > SAFE_AGE_SECONDS and _OURS.fullmatch(file.location)
        ]
        if not old:
            return ()
        statement = artifacts_sql.needed_files(
            {file.task_id for file in old}, [file.location for file in old]
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        unfinished = {row.id for row in rows if row.finished_at is None}
        recorded = {row.location for row in rows}
        return [
            file.location for file in old if file.task_id not in unfinished and file.location not in recorded
        ]
