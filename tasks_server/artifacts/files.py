"""Where the bytes of artifacts lie: what a directory and an object store have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

CHUNK_BYTES = 1024 * 1024

Write = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as the store lists it. age_seconds: since it was last written to."""

    location: str
    age_seconds: float

    @property
    def task_id(self) -> str:
        return self.location.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is being read. size: of all of it, in bytes."""

    size: int
    chunks: AsyncIterator[bytes]


class FileStore(Protocol):
    """Files under a location: `{task id}/{a name of its own}`; others have no slash. No file is ever changed.

    Everything but `remove` and `remove_tasks` raises ArtifactStoreFailed when the store does not do its part.
    """

    def writing(self, location: str) -> AbstractAsyncContextManager[Write]:
        """A new file. It is durable when the block ends, and gone when the block fails."""
        ...

    def reading(self, location: str, start: int, end: int) -> AbstractAsyncContextManager[Opened]:
        """The bytes from start up to end, or fewer if the file is shorter. Raises FileMissing."""
        ...

    async def remove(self, locations: Sequence[str]) -> None:
        """Delete these files as far as possible: what stays is found by `walk`."""
        ...

    async def remove_tasks(self, task_ids: Sequence[str]) -> None:
        """Delete all files of these tasks as far as possible."""
        ...

    def walk(self) -> AsyncIterator[Sequence[StoredFile]]:
        """Every file of a task, some at a time, read on only when the next ones are asked for."""
        ...
