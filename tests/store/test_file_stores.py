"""Where the bytes of artifacts lie: a directory and a bucket do the same."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tasks_server.artifacts import directory, objects
from tasks_server.artifacts.directory import DirectoryStore
from tasks_server.artifacts.files import FileStore
from tasks_server.artifacts.objects import ObjectStore
from tasks_server.errors import ArtifactStoreFailed, FileMissing
from tests.support.s3 import BUCKET, S3Server
from tests.support.waiting import wait_until

TASK = "0" * 32
LARGE = os.urandom(21 * 1024 * 1024)  # more than two parts of an upload


@pytest.fixture(params=["directory", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """A file store of each kind, empty."""
    if request.param == "directory":
        return DirectoryStore(tmp_path / "not" / "there" / "yet")
    request.getfixturevalue("s3")
    return ObjectStore(f"s3://{BUCKET}/a/prefix/{uuid4().hex}")


async def put(files: FileStore, location: str, content: bytes) -> str:
    async with files.writing(location) as write:
        for start in range(0, len(content), 1024 * 1024):
            await write(content[start : start + 1024 * 1024])
    return location


async def get(files: FileStore, location: str, start: int, end: int) -> tuple[int, bytes]:
    async with files.reading(location, start, end) as opened:
        return opened.size, b"".join([chunk async for chunk in opened.chunks])


async def all_of(files: FileStore) -> set[str]:
    return {file.location async for batch in files.walk() for file in batch}


async def test_what_was_written_is_read_whole_and_in_parts(files: FileStore):
    location = await put(files, f"{TASK}/a", LARGE)
    size = len(LARGE)
    assert await get(files, location, 0, size) == (size, LARGE)
    assert await get(files, location, 9_000_000, 9_000_010) == (size, LARGE[9_000_000:9_000_010])
    assert await get(files, location, size - 3, size) == (size, LARGE[-3:])


async def test_a_file_of_no_bytes_is_a_file(files: FileStore):
    location = await put(files, f"{TASK}/empty", b"")
    assert await get(files, location, 0, 0) == (0, b"")
    assert await all_of(files) == {location}


async def test_a_file_that_is_not_there_is_missing(files: FileStore):
    for start, end in ((0, 10), (0, 0)):
        with pytest.raises(FileMissing):
            await get(files, f"{TASK}/nothing", start, end)


@pytest.mark.parametrize("written", [0, 1, 12 * 1024 * 1024])
async def test_nothing_stays_of_a_file_that_was_not_finished(files: FileStore, written: int):
    async def begin() -> None:
        async with files.writing(f"{TASK}/a") as write:
            await write(b"x" * written)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await begin()
    assert await all_of(files) == set()


async def test_nothing_stays_of_a_file_whose_writer_was_cancelled(files: FileStore):
    started = asyncio.Event()

    async def endlessly() -> None:
        async with files.writing(f"{TASK}/a") as write:
            while True:
                await write(LARGE[: 1024 * 1024])
                started.set()

    writing = asyncio.create_task(endlessly())
    await started.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await all_of(files) == set()


async def test_what_fails_when_nobody_waits_any_more_is_not_complained_about(tmp_path: Path):
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    began, gate = threading.Event(), threading.Event()

    def fail() -> None:
        began.set()
        gate.wait(10)
        raise FileNotFoundError(tmp_path)

    waiting = asyncio.create_task(directory._in_thread(fail))  # pyright: ignore[reportPrivateUsage]
    await wait_until(began.is_set, describing="the thread")
    waiting.cancel()
    await asyncio.sleep(0)
    gate.set()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    del waiting
    gc.collect()
    assert complaints == []


async def test_nothing_stays_open_for_a_writer_who_was_cancelled_meanwhile(tmp_path: Path):
    files = DirectoryStore(tmp_path / "store")

    async def write() -> None:
        async with files.writing(f"{TASK}/a"):
            pass

    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always", ResourceWarning)
        for steps in range(1, 4):
            writing = asyncio.create_task(write())
            for _ in range(steps):
                await asyncio.sleep(0)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            del writing
            gc.collect()
            assert await all_of(files) == set()
    assert complaints == []


def test_nothing_stays_open_when_the_event_loop_ends_meanwhile(tmp_path: Path):
    files = DirectoryStore(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    threads: list[threading.Thread] = []

    async def read() -> None:
        async with files.reading("pipe", 0, 1):
            pass

    async def leave() -> asyncio.Task[None]:
        reading = asyncio.create_task(read())
        before = set(threading.enumerate())
        await wait_until(lambda: set(threading.enumerate()) - before, describing="a thread opens the pipe")
        threads.extend(set(threading.enumerate()) - before)
        return reading

    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(leave())
        with (tmp_path / "pipe").open("wb"):
            pass
        for thread in threads:
            thread.join(20)
        gc.collect()
    assert [str(complaint.message) for complaint in complaints if "pipe" in str(complaint.message)] == []


async def test_files_go_one_by_one_or_with_their_task(files: FileStore):
    tasks = [f"{number}" * 32 for number in range(3)]
    for task in tasks:
        for name in "ab":
            await put(files, f"{task}/{name}", b"x")
    await files.remove([f"{tasks[0]}/a", f"{tasks[0]}/b", f"{tasks[1]}/a", f"{tasks[1]}/never there"])
    assert await all_of(files) == {f"{tasks[1]}/b", f"{tasks[2]}/a", f"{tasks[2]}/b"}
    await files.remove_tasks([tasks[2], "f" * 32, tasks[2][:4]])
    assert await all_of(files) == {f"{tasks[1]}/b"}


async def test_a_walk_sees_every_file_some_at_a_time(files: FileStore, monkeypatch: pytest.MonkeyPatch):
    for module in ("directory", "objects"):
        monkeypatch.setattr(f"tasks_server.artifacts.{module}.WALK_BATCH", 3)
    stored = {await put(files, f"{number % 3:032}/{number}", b"x") for number in range(8)}
    batches = [batch async for batch in files.walk()]
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert {file.location for batch in batches for file in batch} == stored
    assert all(abs(file.age_seconds) < 60 for batch in batches for file in batch)


async def test_the_directory_of_a_task_goes_with_its_last_file(tmp_path: Path):
    files = DirectoryStore(tmp_path)
    await put(files, f"{TASK}/a", b"x")
    assert (tmp_path / TASK).stat().st_mode & 0o777 == 0o700
    await files.remove([f"{TASK}/a"])
    assert list(tmp_path.iterdir()) == []


@contextmanager
def disk_full_after(size: int) -> Generator[None]:
    """No file of this process can grow beyond this, as on a full disk (but the error is another one)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path):
    files = DirectoryStore(tmp_path)
    with disk_full_after(3 * 1024 * 1024 + 5), pytest.raises(ArtifactStoreFailed, match="File too large"):
        await put(files, f"{TASK}/a", LARGE)
    assert list(tmp_path.iterdir()) == []
    await put(files, f"{TASK}/a", LARGE)


async def test_a_directory_that_cannot_be_made_is_said_without_its_path(tmp_path: Path):
    (tmp_path / "file").touch()
    files = DirectoryStore(tmp_path / "file" / "artifacts")
    with pytest.raises(ArtifactStoreFailed) as failure:
        await put(files, f"{TASK}/a", b"x")
    assert str(tmp_path) not in str(failure.value)
    assert await all_of(files) == set()


async def test_an_object_store_that_cannot_be_reached_is_given_up_soon(monkeypatch: pytest.MonkeyPatch):
    retries = {**objects.RETRIES, "max_retries": 2, "retry_timeout": timedelta(seconds=2)}
    monkeypatch.setattr(objects, "RETRIES", retries)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    with socket.socket() as nobody:  # who has the port, but does not listen
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        files = ObjectStore(f"s3://{BUCKET}/prefix")
        for call in (
            put(files, f"{TASK}/a", b"x"),
            put(files, f"{TASK}/a", LARGE),
            get(files, f"{TASK}/a", 0, 1),
            files.remove([f"{TASK}/a"]),
            files.remove_tasks([TASK]),
            all_of(files),
        ):
            with pytest.raises(ArtifactStoreFailed, match="does not answer") as failure:
                await call
            assert "127.0.0.1" not in str(failure.value)


async def test_a_bucket_that_is_not_there_keeps_nothing(s3: S3Server):
    with pytest.raises(ArtifactStoreFailed):
        await put(ObjectStore("s3://no-such-bucket"), f"{TASK}/a", b"x")
