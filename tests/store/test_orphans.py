"""Files that nothing refers to are collected, and no other ones, whatever happens between looking and deleting."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tasks_server.artifacts import ArtifactStore, Deposit
from tasks_server.artifacts.directory import DirectoryStore
from tasks_server.artifacts.files import FileStore, StoredFile
from tasks_server.artifacts.objects import ObjectStore
from tasks_server.artifacts.orphans import SAFE_AGE_SECONDS, Orphans
from tasks_server.errors import ArtifactStoreFailed, FileDamaged, FileMissing, StaleTransition
from tasks_server.lifecycle.claims import Claims
from tasks_server.task import OutcomeKind, Task
from tests.store.interleaving import Gate
from tests.store.record import OWNER, Record, claim, finish, held
from tests.support.s3 import BUCKET

OLD = time.time() - SAFE_AGE_SECONDS - 60


async def deposited(record: Record, task_id: str, *, old: bool = True, content: bytes = b"x") -> Deposit:
    deposit = await record.artifacts.deposit(task_id, content)
    if old:
        os.utime(record.directory / deposit.location, (OLD, OLD))
    return deposit


async def recorded(worker: Claims, task: Task, deposit: Deposit, name: str = "a.txt") -> str | None:
    facts = {"size": deposit.size, "sha256": deposit.sha256, "location": deposit.location}
    return await worker.record_artifact(held(task), {"name": name, "mime_type": "text/plain", **facts})


def files_of(record: Record) -> set[str]:
    found = record.directory.glob("*/*")
    return {str(path.relative_to(record.directory)) for path in found}


async def test_what_was_never_recorded_goes_once_its_task_has_ended_or_is_gone(record: Record):
    worker = record.worker()
    running, ended = [await claim(worker, await record.create()) for _ in range(2)]
    kept = [await deposited(record, running.id), await deposited(record, ended.id)]
    await recorded(worker, ended, kept[1])
    await deposited(record, ended.id)
    await deposited(record, "f" * 32)  # of a task that there never was, or that is gone
    kept.append(await deposited(record, "f" * 32, old=False))
    await finish(worker, ended)
    assert await record.artifacts.orphans.collect() == 2
    assert files_of(record) == {deposit.location for deposit in kept}


async def test_what_somebody_else_has_put_there_stays(record: Record):
    for name in (f"{'f' * 32}/notes.txt", "lost+found/#123", f"backup/{'a' * 31}Z"):
        path = record.directory / name
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (OLD, OLD))
        path.with_name("\udcff").touch()
    before = files_of(record)
    assert await record.artifacts.orphans.collect() == 0
    assert files_of(record) == before


async def test_a_round_goes_on_where_it_was_and_is_followed_by_a_rest(
    record: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.artifacts.directory.WALK_BATCH", 2)
    for number in range(5):
        await deposited(record, f"{number}" * 32)
    assert [await record.artifacts.orphans.collect() for _ in range(4)] == [2, 2, 1, 0]
    await deposited(record, "f" * 32)
    assert await record.artifacts.orphans.collect() == 0  # resting
    monkeypatch.setattr("tasks_server.artifacts.orphans.REST_SECONDS", 0)
    fresh = Orphans(record.database, DirectoryStore(record.directory))
    assert [await fresh.collect() for _ in range(2)] == [1, 0]
    await deposited(record, "f" * 32)
    assert await fresh.collect() == 1


class GatedStore(DirectoryStore):
    """Holds back the collector between listing and looking into the record, or between that and deleting."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.listed, self.decided = Gate(), Gate()

    async def walk(self) -> AsyncGenerator[Sequence[StoredFile]]:
        async for batch in super().walk():
            await self.listed.pass_through()
            yield batch

    async def remove(self, locations: Sequence[str]) -> None:
        await self.decided.pass_through()
        await super().remove(locations)


@asynccontextmanager
async def collecting(record: Record) -> AsyncGenerator[tuple[GatedStore, asyncio.Task[int]]]:
    store = GatedStore(record.directory)
    running = asyncio.create_task(Orphans(record.database, store).collect())
    try:
        await store.listed.reached.wait()
        yield store, running
    finally:
        running.cancel()


Move = Callable[[Record, Claims, Task, Deposit], Awaitable[Any]]


async def record_it(record: Record, worker: Claims, task: Task, deposit: Deposit) -> None:
    await recorded(worker, task, deposit)


async def record_it_and_end(record: Record, worker: Claims, task: Task, deposit: Deposit) -> None:
    await recorded(worker, task, deposit)
    await finish(worker, task)


async def lose_the_worker(record: Record, worker: Claims, task: Task, deposit: Deposit) -> None:
    await worker.release(held(task))


async def cancel_it(record: Record, worker: Claims, task: Task, deposit: Deposit) -> None:
    await record.requests.cancel(OWNER, task.id)


@pytest.mark.parametrize("move", [record_it, record_it_and_end, lose_the_worker, cancel_it])
async def test_what_is_recorded_after_it_was_listed_stays(record: Record, move: Move):
    worker = record.worker()
    task = await claim(worker, await record.create())
    deposit = await deposited(record, task.id)
    async with collecting(record) as (store, running):
        await move(record, worker, task, deposit)
        store.listed.open()
        store.decided.open()
        assert await running == 0
    assert files_of(record) == {deposit.location}


async def test_what_is_to_be_deleted_can_be_recorded_no_more(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    deposit = await deposited(record, task.id)
    await finish(worker, task)
    async with collecting(record) as (store, running):
        store.listed.open()
        await store.decided.reached.wait()
        with pytest.raises(StaleTransition):
            await recorded(worker, task, deposit)
        await record.expiry.expire()
        store.decided.open()
        assert await running == 1
    assert files_of(record) == set()


async def test_orphans_in_a_bucket_are_collected(record: Record, s3: object, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasks_server.artifacts.orphans.SAFE_AGE_SECONDS", -3600)
    files = ObjectStore(f"s3://{BUCKET}/{uuid4().hex}")
    artifacts = ArtifactStore(record.database, files)
    worker = record.worker()
    task = await claim(worker, await record.create())
    kept, lost, _ = [await artifacts.deposit(of, b"x" * 10) for of in (task.id, task.id, "f" * 32)]
    await recorded(worker, task, kept)
    await finish(worker, task)
    assert await artifacts.orphans.collect() == 2
    assert [file.location async for batch in files.walk() for file in batch] == [kept.location]
    found = await artifacts.find(OWNER, task.id, "a.txt")
    assert found is not None
    assert await content(artifacts, found) == b"x" * 10
    assert lost.location != kept.location


async def test_the_store_of_another_database_is_left_alone(
    record: Record, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    store = DirectoryStore(record.directory)
    assert await Orphans(record.database, store).collect() == 0
    assert await Orphans(record.database, store).collect() == 0
    await deposited(record, "f" * 32)
    await record.sql("UPDATE identity SET name = 'somebody else'")
    assert await Orphans(record.database, store).collect() == 0
    assert "belongs to another database" in caplog.text
    assert len(files_of(record)) == 1
    (record.directory / ".database").unlink()
    assert await Orphans(record.database, store).collect() == 1


class BrokenStore(DirectoryStore):
    def walk(self) -> AsyncGenerator[Sequence[StoredFile]]:
        raise ArtifactStoreFailed("The artifact store does not answer as it should.")


async def test_a_store_that_cannot_be_walked_through_harms_nobody(record: Record):
    assert await Orphans(record.database, BrokenStore(record.directory)).collect() == 0


async def test_the_file_of_a_replaced_artifact_is_named_once(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    first, second = [await deposited(record, task.id) for _ in range(2)]
    assert await recorded(worker, task, first) is None
    assert await recorded(worker, task, second) == first.location
    # Said again, because the answer to the commit was lost.
    assert await recorded(worker, task, second) is None
    await record.artifacts.discard(first.location)
    await record.artifacts.discard(first.location)
    assert files_of(record) == {second.location}


async def content(artifacts: ArtifactStore, found: Any, *part: int) -> bytes:
    async with artifacts.reading(found, *part) as chunks:
        return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("kind", ["directory", "bucket"])
async def test_a_damaged_file_never_looks_like_a_whole_one(
    record: Record, kind: str, request: pytest.FixtureRequest
):
    files: FileStore = DirectoryStore(record.directory)
    if kind == "bucket":
        request.getfixturevalue("s3")
        files = ObjectStore(f"s3://{BUCKET}/{uuid4().hex}")
    artifacts = ArtifactStore(record.database, files)
    worker = record.worker()
    task = await claim(worker, await record.create())
    whole = os.urandom(6 * 1024 * 1024)
    await recorded(worker, task, await artifacts.deposit(task.id, whole))
    found = await artifacts.find(OWNER, task.id, "a.txt")
    assert found is not None
    assert await content(artifacts, found) == whole
    assert await content(artifacts, found, 5_000_000, 5_000_100) == whole[5_000_000:5_000_100]

    async def replace(content: bytes) -> None:
        await files.remove([found.location])
        async with files.writing(found.location) as write:
            await write(content)

    await replace(whole[:-1])  # a truncated file
    for part in ((), (0, 10)):
        with pytest.raises(FileDamaged):
            await content(artifacts, found, *part)
    await replace(whole[:-1] + bytes([whole[-1] ^ 1]))  # another content
    received = b""

    async def receive() -> None:
        nonlocal received
        async with artifacts.reading(found) as chunks:
            async for chunk in chunks:
                received += chunk

    with pytest.raises(FileDamaged):
        await receive()
    assert len(received) < len(whole)
    await files.remove([found.location])
    with pytest.raises(FileMissing):
        await content(artifacts, found)


async def test_a_source_that_cannot_be_read_is_the_tools_own_error(record: Record, tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        await record.artifacts.deposit("f" * 32, tmp_path / "not there")
    assert files_of(record) == set()


async def test_a_finished_task_takes_no_more_artifacts(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    deposit = await deposited(record, task.id)
    await worker.finish(held(task), OutcomeKind.RESULT, "{}", None, None)
    with pytest.raises(StaleTransition):
        await recorded(worker, task, deposit)
