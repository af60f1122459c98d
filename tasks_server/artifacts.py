"""Files that tasks produce: bytes in a directory that servers and workers share, facts about them in the record."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import anyio.to_thread

from tasks_server.encoding import is_storable
from tasks_server.store.database import Database
from tasks_server.store.statements import reading as reading_sql

SCHEME = "artifact"
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file some task produced. size in bytes, sha256 in hex."""

    task_id: str
    name: str
    mime_type: str
    size: int
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Deposit:
    """A file that has just been copied into the store; `location` is relative to its directory."""

    location: str
    size: int
    sha256: str


def artifact_uri(task_id: str, name: str) -> str:
    """`artifact://{task_id}/{name}`, with the name percent-encoded."""
    return f"{SCHEME}://{task_id}/{quote(name, safe='')}"


def parse_artifact_uri(uri: str) -> tuple[str, str] | None:
    """(task id, name), or None if the URI is of another kind."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # an IPv6 address that is none
        return None
    name = unquote(parts.path.removeprefix("/"))
    return (parts.netloc, name) if parts.scheme == SCHEME and parts.netloc and name else None


class ArtifactStore:
    """Copies files in, finds them for their owner, removes them."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._directory = directory

    async def find(self, owner: str, task_id: str, name: str) -> Artifact | None:
        """The artifact, if this owner's task has one of this name."""
        if not is_storable(task_id + name):
            return None
        async with self._database.reading() as connection:
            row = (await connection.execute(reading_sql.artifact(owner, task_id, name))).one_or_none()
        if row is None:
            return None
        path = self._directory / row.location
        return Artifact(row.task_id, row.name, row.mime_type, row.size, row.sha256, path)

    async def deposit(self, task_id: str, source: Path) -> Deposit:
        """Copy a file in under a fresh name, durably; the caller records it."""
        return await anyio.to_thread.run_sync(self._copy, task_id, source)

    async def remove(self, task_ids: Sequence[str]) -> None:
        """Delete all files of these tasks, also those that were never recorded because their worker was lost."""
        await anyio.to_thread.run_sync(self._delete, task_ids)

    def _copy(self, task_id: str, source: Path) -> Deposit:
        directory = self._directory / task_id
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = directory / uuid4().hex
        digest = hashlib.sha256()
        with source.open("rb") as reader, target.open("xb") as writer:
            while chunk := reader.read(CHUNK_BYTES):
                digest.update(chunk)
                writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
        return Deposit(f"{task_id}/{target.name}", target.stat().st_size, digest.hexdigest())

    def _delete(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids:
            shutil.rmtree(self._directory / task_id, ignore_errors=True)
