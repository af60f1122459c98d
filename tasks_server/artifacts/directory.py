"""Artifacts in a local directory, or one that all machines mount."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import TypeVar

from anyio import to_thread

from tasks_server.artifacts.files import CHUNK_BYTES, Opened, StoredFile, Write
from tasks_server.errors import ArtifactStoreFailed, FileMissing

Returned = TypeVar("Returned")

WALK_BATCH = 1000


class DirectoryStore:
    """Implements `FileStore`: a directory for each task. Only this process's user may look inside."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @asynccontextmanager
    async def writing(self, location: str) -> AsyncGenerator[Write]:
        path = self._directory / location
        file = await _opened(_create, path, _remove)
        try:
            with file:
                yield partial(_in_thread, _write, file)
                await _in_thread(os.fsync, file.fileno())
            await _in_thread(_sync_directory, path.parent)
        except BaseException:
            await _in_thread(_discard, [path])
            raise

    @asynccontextmanager
    async def reading(self, location: str, start: int, end: int) -> AsyncGenerator[Opened]:
        with await _opened(FileIO, self._directory / location, FileIO.close) as file:
            yield Opened(os.fstat(file.fileno()).st_size, _chunks(file, start, end))

    async def remove(self, locations: Sequence[str]) -> None:
        await _in_thread(_discard, [self._directory / location for location in locations])

    async def remove_tasks(self, task_ids: Sequence[str]) -> None:
        await _in_thread(self._remove_tasks, task_ids)

    async def walk(self) -> AsyncGenerator[Sequence[StoredFile]]:
        files = self._files()
        while batch := await _in_thread(lambda: list(islice(files, WALK_BATCH))):
            yield batch

    def _remove_tasks(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids:
            shutil.rmtree(self._directory / task_id, ignore_errors=True)

    def _files(self) -> Iterator[StoredFile]:
        """What comes and goes meanwhile may or may not be among them."""
        for task in _entries(self._directory):
            for file in _entries(Path(task.path)):
                with suppress(FileNotFoundError):
                    age = time.time() - file.stat(follow_symlinks=False).st_mtime
                    yield StoredFile(f"{task.name}/{file.name}", age)


async def _in_thread(call: Callable[..., Returned], *arguments: object) -> Returned:
    """What the operating system refuses, as ArtifactStoreFailed; a path of this machine is in no message.

    Whoever is cancelled waits for the thread nevertheless: it works with a file that is about to be closed.
    """
    running = asyncio.ensure_future(to_thread.run_sync(call, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # looked at, so that asyncio does not report it as overlooked
        raise
    except FileNotFoundError:
        raise FileMissing from None
    except OSError as error:
        raise ArtifactStoreFailed(f"The disk of the artifact store says: {error.strerror}.") from error


async def _opened(open_file: Callable[[Path], FileIO], path: Path, undo: Callable[[FileIO], None]) -> FileIO:
    """An open file. It is undone if whoever wanted it is cancelled, even if the thread comes later than that."""
    opened: deque[FileIO] = deque()
    is_abandoned = threading.Event()

    def abandon() -> None:
        with suppress(IndexError):  # the other one was quicker
            undo(opened.pop())

    def run() -> None:
        opened.append(open_file(path))
        if is_abandoned.is_set():
            abandon()

    try:
        await _in_thread(run)
    except asyncio.CancelledError:
        is_abandoned.set()
        await _in_thread(abandon)
        raise
    return opened.pop()


async def _chunks(file: FileIO, start: int, end: int) -> AsyncGenerator[bytes]:
    file.seek(start)
    while start < end and (chunk := await _in_thread(file.read, min(CHUNK_BYTES, end - start))):
        start += len(chunk)
        yield chunk


def _create(path: Path) -> FileIO:
    while True:
        _make_directory(path.parent)
        with suppress(FileNotFoundError):  # the directory was empty, and was just tidied away
            return FileIO(path, "x")


def _make_directory(directory: Path) -> None:
    """With those above it, each entered durably into its parent."""
    if not directory.is_dir():
        _make_directory(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
        _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(file: FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def _remove(file: FileIO) -> None:
    file.close()
    _discard([Path(os.fsdecode(file.name))])


def _discard(paths: Sequence[Path]) -> None:
    """And the directory of their task with the last of them."""
    for path in paths:
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            path.parent.rmdir()


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        yield from entries
