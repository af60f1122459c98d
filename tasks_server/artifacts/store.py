"""Artifacts as tasks, clients and maintenance deal with them: bytes in a file store, facts in the record."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from anyio import to_thread

from tasks_server.artifacts.files import CHUNK_BYTES, FileStore, Opened
from tasks_server.artifacts.orphans import Orphans
from tasks_server.encoding import is_storable
from tasks_server.errors import ArtifactStoreFailed, FileDamaged
from tasks_server.store.database import Database
from tasks_server.store.statements import reading as reading_sql

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file some task produced. size in bytes, sha256 in hex; `location` is where the file store has it."""

    task_id: str
    name: str
    mime_type: str
    size: int
    sha256: str
    location: str


@dataclass(frozen=True, slots=True)
class Deposit:
    """A file that has just been copied into the store."""

    location: str
    size: int
    sha256: str


class ArtifactStore:
    """Copies files in, finds and reads them for their owner, removes them."""

    def __init__(self, database: Database, files: FileStore) -> None:
        self._database = database
        self._files = files
        self.orphans = Orphans(database, files)

    async def find(self, owner: str, task_id: str, name: str) -> Artifact | None:
        """The artifact, if this owner's task has one of this name."""
        if not is_storable(task_id + name):
            return None
        async with self._database.reading() as connection:
            row = (await connection.execute(reading_sql.artifact(owner, task_id, name))).one_or_none()
        if row is None:
            return None
        return Artifact(row.task_id, row.name, row.mime_type, row.size, row.sha256, row.location)

    async def deposit(self, task_id: str, source: Path | bytes) -> Deposit:
        """Copy a file in under a fresh name, durably and chunk by chunk; the caller records it.

        Raises ArtifactStoreFailed, and OSError when `source` cannot be read; nothing of the file stays then.
        """
        location = f"{task_id}/{uuid4().hex}"
        digest = hashlib.sha256()
        size = 0
        async with self._files.writing(location) as write:
            async for chunk in _chunks(source):
                await to_thread.run_sync(digest.update, chunk)
                await write(chunk)
                size += len(chunk)
        return Deposit(location, size, digest.hexdigest())

    @asynccontextmanager
    async def reading(
        self, artifact: Artifact, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The bytes from start up to end (of all of it), in chunks. Raises ArtifactStoreFailed.

        Another size than was recorded is found before the first chunk, another content of a whole file before
        the last one: a damaged file never looks like a whole one.
        """
        end = artifact.size if end is None else end
        async with self._files.reading(artifact.location, start, end) as opened:
            if opened.size != artifact.size:
                raise FileDamaged
            is_whole = (start, end) == (0, artifact.size)
            yield _verified(opened, end - start, artifact.sha256 if is_whole else None)

    async def remove(self, task_ids: Sequence[str]) -> None:
        """Delete all files of tasks that are gone, also those that were never recorded.

        What cannot be deleted now is an orphan from now on.
        """
        try:
            await self._files.remove_tasks(task_ids)
        except ArtifactStoreFailed as error:
            log.warning(
                "Files of %d tasks cannot be deleted yet: %s", len(task_ids), error.__cause__ or error
            )

    async def discard(self, location: str) -> None:
        """Delete a file that no row refers to any more; left over, it is an orphan."""
        try:
            await self._files.remove([location])
        except ArtifactStoreFailed as error:
            log.warning("The file %s cannot be deleted yet: %s", location, error.__cause__ or error)


async def _chunks(source: Path | bytes) -> AsyncGenerator[bytes]:
    if isinstance(source, bytes):
        for start in range(0, len(source), CHUNK_BYTES):
            yield source[start : start + CHUNK_BYTES]
        return
    with await to_thread.run_sync(source.open, "rb") as reader:
        while chunk := await to_thread.run_sync(reader.read, CHUNK_BYTES):
            yield chunk


async def _verified(opened: Opened, length: int, sha256: str | None) -> AsyncGenerator[bytes]:
    """The chunks, each held back until the next one is there, the last one until everything is known to fit."""
    digest = hashlib.sha256()
    held: bytes | None = None
    async for chunk in opened.chunks:
        if held is not None:
            yield held
        if sha256 is not None:
            await to_thread.run_sync(digest.update, chunk)
        length -= len(chunk)
        held = chunk
    if length or (sha256 is not None and digest.hexdigest() != sha256):
        raise FileDamaged
    if held is not None:
        yield held
