"""Following tasks: subscribe, read, then stream; push is a hint and polling is enough."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tasks_server.bus import Bus
from tasks_server.lifecycle.claims import Claims
from tasks_server.redis_client import connect_blocking
from tasks_server.signals import TaskLogged, TaskProgressed
from tasks_server.task import Progress, Task, TaskStatus
from tasks_server.watch import Watch
from tasks_server.watchers import Watchers
from tests.store.counting import traffic
from tests.store.interleaving import GatedAnnouncer
from tests.store.record import (
    ATTACHED,
    OWNER,
    Record,
    accept,
    ask,
    claim,
    collect,
    finish,
    held,
    new_task,
    opened,
)
from tests.support.forwarding import forwarding
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until


@pytest.fixture
async def server(record: Record) -> Record:
    """The record with its bus and watchers running."""
    await record.start()
    return record


async def until(watch: Watch, status: TaskStatus) -> Task:
    async for seen in watch:
        if isinstance(seen, Task) and seen.status is status:
            return seen
    raise AssertionError(f"the watch ended before {status}")


async def test_a_follower_sees_every_status_of_the_record(server: Record, another: Record):
    """The changes are another process's; the bus brings them here."""
    worker = another.worker()
    task = await server.create()
    async with server.service.watch(OWNER, [task.id]) as watch:
        assert watch.accepted == (task.id,)
        assert await anext(watch) == task
        claimed = await claim(worker, task)
        assert await anext(watch) == claimed
        await ask(worker, claimed)
        asks = await anext(watch)
        assert isinstance(asks, Task)
        assert asks.status is TaskStatus.INPUT_REQUIRED
        assert [question.key for question in asks.input_requests] == ["name"]
        await another.requests.answer(OWNER, task.id, {"name": accept("Ada")})
        assert (await until(watch, TaskStatus.WORKING)).input_requests == ()
        ended = await finish(worker, claimed)
        assert await until(watch, TaskStatus.COMPLETED) == ended
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
    assert server.watchers._by_task == {}


class Held:
    """Passes on what comes from Redis while it may."""

    def __init__(self) -> None:
        self.may_pass = asyncio.Event()
        self.may_pass.set()

    async def forth(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk

    async def back(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            await self.may_pass.wait()
            yield chunk


async def test_what_was_said_before_a_row_was_read_is_heard_before_it_is_seen(
    record: Record, shared_valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.watchers.REREAD_SECONDS", 0.0)
    monkeypatch.setattr("tasks_server.watchers.REREAD_WITHOUT_BUS_SECONDS", 0.01)
    worker = record.worker()
    task = await claim(worker, await record.create())
    signals, address = Held(), tmp_path / "signals.sock"
    async with (
        forwarding(shared_valkey.socket, lambda: signals, listen_at=address),
        anyio.create_task_group() as group,
    ):
        bus = Bus(
            record.redis, connect_blocking(record.redis_url.replace(str(shared_valkey.socket), str(address)))
        )
        watchers = Watchers(bus, record.reader)
        group.start_soon(bus.run)
        group.start_soon(watchers.run)
        await bus.connected.wait()
        async with (
            watchers.watch(OWNER, [task.id], signals=True) as hears,
            watchers.watch(OWNER, [task.id], signals=False) as sees,
        ):
            assert await anext(hears) == await anext(sees) == task
            signals.may_pass.clear()
            said = [TaskProgressed(task.id, page, 3.0, f"page {page:g}") for page in (1.0, 2.0, 3.0)]
            for progress in said:
                await record.announcer.signal(progress)
            await worker.report(held(task), Progress(3, 3), "page 3")
            reported = await anext(sees)
            signals.may_pass.set()
            assert await collect(hears, 4) == [*said, reported]
        group.cancel_scope.cancel()


async def test_a_snapshot_comes_once_however_often_it_is_signalled(server: Record):
    task = await server.create()
    async with server.service.watch(OWNER, [task.id]) as watch:
        assert await anext(watch) == task
        for _ in range(20):
            await server.announcer.changed(task.id)
        claimed = await claim(server.worker(), task)
        assert await anext(watch) == claimed
        ended = await finish(server.worker(), claimed)
        assert await anext(watch) == ended


async def test_a_slow_follower_skips_but_sees_the_last(server: Record):
    worker = server.worker()
    task = await claim(worker, await server.create())
    async with (
        server.service.watch(OWNER, [task.id]) as watch,
        server.service.watch(OWNER, [task.id]) as quick,
    ):
        for page in range(1, 6):
            await worker.report(held(task), Progress(page, 5), f"page {page}")
        ended = await finish(worker, task)
        await until(quick, TaskStatus.COMPLETED)
        seen = [snapshot async for snapshot in watch]
    assert seen == [ended]


async def test_missing_and_foreign_tasks_are_not_followed(server: Record):
    mine, theirs = await server.create(), await server.create(owner="mallory")
    async with server.service.watch(OWNER, ["no such task", theirs.id, mine.id, mine.id]) as watch:
        assert watch.accepted == (mine.id,)
        await finish(server.worker(), await claim(server.worker(), theirs))
        ended = await finish(server.worker(), await claim(server.worker(), mine))
        seen = [snapshot async for snapshot in watch]
    assert {snapshot.id for snapshot in seen if isinstance(snapshot, Task)} == {mine.id}
    assert seen[-1] == ended


async def test_following_nothing_ends_at_once(server: Record):
    async with server.service.watch(OWNER, ["no such task"]) as watch:
        assert [snapshot async for snapshot in watch] == []


async def test_live_signals_of_a_foreign_task_never_show(server: Record):
    """They may arrive while the ids are still being looked up, before anybody knows whose they are."""
    mine, theirs = await server.create(), await server.create(owner="mallory")
    async with server.watchers.register(OWNER, [mine.id, theirs.id], signals=True) as watch:
        for task_id in (theirs.id, mine.id):
            server.watchers._take(TaskProgressed(task_id, 1.0, None, "secret"))
        watch.admit((await server.reader.find_many([mine.id, theirs.id])).values())
        server.watchers._take(TaskLogged(theirs.id, "info", "secret", None))
        first, second = await collect(watch, 2)
    assert isinstance(first, Task)
    assert isinstance(second, TaskProgressed)
    assert (first.id, second.task_id) == (mine.id, mine.id)
    assert not watch._signals


async def test_a_watch_ends_when_its_task_is_gone(server: Record):
    """It finished and expired while nobody could look; there is nothing more to say about it."""
    gone, stays = await server.create(), await server.create()
    async with server.service.watch(OWNER, [gone.id, stays.id]) as watch:
        await collect(watch, 2)
        await server.sql("DELETE FROM task WHERE id = :id", id=gone.id)
        await server.announcer.changed(gone.id)
        ended = await finish(server.worker(), await claim(server.worker(), stays))
        seen = [snapshot async for snapshot in watch]
    assert seen[-1] == ended


async def test_submit_and_watch_misses_no_live_signal(server: Record, another: Record):
    """The worker is faster than the caller: it reports before the caller knows that its row is committed."""
    new = new_task(origin=ATTACHED)
    server.requests._announcer = announcer = GatedAnnouncer(server)
    watching = server.service.submit_and_watch(new)
    entering = asyncio.create_task(watching.__aenter__())
    await announcer.gate.reached.wait()
    worker = another.worker()
    task = await worker.claim(new.id, 0)
    assert task is not None
    await another.announcer.signal(TaskProgressed(new.id, 1.0, 2.0, "half"))
    await wait_until(lambda: _signals_for(server, new.id), describing="the signal has arrived")
    announcer.gate.open()
    watch = await entering
    assert isinstance(await anext(watch), Task)
    assert (await anext(watch)) == TaskProgressed(new.id, 1.0, 2.0, "half")
    await finish(worker, task)
    assert (await until(watch, TaskStatus.COMPLETED)).id == new.id
    await watching.__aexit__(None, None, None)


def _signals_for(server: Record, task_id: str) -> bool:
    return any(watch._signals for watch in server.watchers._by_task.get(task_id, ()))


async def test_a_reading_from_before_the_commit_does_not_end_the_watch(server: Record):
    """Everything is read again now and then; that may happen between registering and the commit."""
    new = new_task()
    async with server.watchers.register(OWNER, [new.id], signals=True) as watch:
        server.watchers._mark([new.id])
        await wait_until(lambda: not server.watchers._due, describing="the early reading")
        watch.admit([await server.requests.create(new)])
        ended = await finish(server.worker(), await claim(server.worker(), await server.task(new.id)))
        assert await until(watch, TaskStatus.COMPLETED) == ended


async def test_what_happens_before_the_publication_is_seen_all_the_same(server: Record, another: Record):
    """A process that dies between its commit and its signal costs time only: here the follower just subscribes."""
    announcer = GatedAnnouncer(another)
    worker = Claims(another.database, announcer, another.breakers, worker_id="worker-1", lease_ms=60_000)
    task = await server.create()
    claiming = asyncio.create_task(worker.claim(task.id, 0))
    await announcer.gate.reached.wait()
    async with server.service.watch(OWNER, [task.id]) as watch:
        seen = await anext(watch)
        assert isinstance(seen, Task)
        assert seen.started_at is not None
        announcer.gate.open()
        claimed = await claiming
        assert seen == claimed
        assert claimed is not None
        ended = await finish(worker, claimed)
        assert await anext(watch) == ended


async def test_lost_signals_are_made_good_by_reading_again(server: Record, monkeypatch: pytest.MonkeyPatch):
    task = await server.create()
    async with server.service.watch(OWNER, [task.id]) as watch:
        await anext(watch)
        claimed = await claim(server.worker(), task)
        assert await anext(watch) == claimed
        await server.sql(
            "UPDATE task SET status_message = 'unheard', revision = revision + 1 WHERE id = :id", id=task.id
        )
        server.watchers._mark(server.watchers._by_task)  # what the slow clock does
        seen = await anext(watch)
        assert isinstance(seen, Task)
        assert seen.status_message == "unheard"


async def test_signals_lost_in_an_outage_of_the_bus_are_made_good(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
):
    async with opened(database_url, valkey.url, tmp_path) as server:
        await server.start()
        task = await server.create()
        async with server.service.watch(OWNER, [task.id]) as watch:
            assert await anext(watch) == task
            valkey.kill()
            await wait_until(lambda: not server.bus.connected.is_set(), describing="the outage is noticed")
            await server.sql(
                "UPDATE task SET status_message = 'meanwhile', revision = revision + 1 WHERE id = :id",
                id=task.id,
            )
            valkey.start()
            seen = await anext(watch)
            assert isinstance(seen, Task)
            assert seen.status_message == "meanwhile"
            ended = await finish(server.worker(), await claim(server.worker(), task))
            assert await until(watch, TaskStatus.COMPLETED) == ended


async def test_many_followers_of_many_tasks_share_the_reading(server: Record):
    tasks = [await server.create() for _ in range(20)]
    async with server.service.watch(OWNER, [task.id for task in tasks]) as watch:
        await collect(watch, 20)
        with traffic(server) as sent:
            await server.sql("UPDATE task SET revision = revision + 1")
            await server.announcer.changed(*(task.id for task in tasks))
            seen = await collect(watch, 20)
    assert {task.id for task in tasks} == {snapshot.id for snapshot in seen}
    assert (
        sum("FROM task" in statement and statement.startswith("SELECT") for statement in sent.statements) <= 3
    )


async def test_what_a_quick_task_has_said_comes_before_its_end(server: Record):
    """It may have ended before whoever submitted it knows that it is there."""
    worker, task = server.worker(), await server.create()
    watch = Watch(OWNER, [task.id], signals=True)
    said = TaskProgressed(task.id, 1.0, None, "begun")
    watch.offer_signal(said)
    ended = await finish(worker, await claim(worker, task))
    watch.offer(ended)
    watch.admit([task])
    assert [event async for event in watch] == [said, ended]
