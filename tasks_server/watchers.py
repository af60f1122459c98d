"""Following tasks as they change, without a poll or a Redis connection per follower.

Subscribe, read the record, then stream: a signal says which task to read again, all tasks that are due are
read in one SELECT, and what followers see is always a committed row. Who hears live signals as well sees a row only
after what was said before it was read. A slow re-read of everything that is followed makes good whatever signals were
lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import get_args

import anyio

from tasks_server.bus import Bus, Subscription
from tasks_server.signals import (
    QuestionMisfit,
    Resync,
    Signal,
    TaskChanged,
    TaskLogged,
    TaskNoted,
    TaskProgressed,
    VoiceTaken,
)
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage
from tasks_server.store.reading import TaskReader
from tasks_server.task import Task
from tasks_server.watch import LiveSignal, Watch

log = logging.getLogger(__name__)

REREAD_SECONDS = 10.0
REREAD_WITHOUT_BUS_SECONDS = 1.0
READ_AT_ONCE = 500


class Watchers:
    """All followers in this process. `run` serves them until cancelled."""

    def __init__(self, bus: Bus, reader: TaskReader) -> None:
        self._bus = bus
        self._reader = reader
        self._by_task: dict[str, set[Watch]] = defaultdict(set)
        self._due: set[str] = set()
        self._something_due = asyncio.Event()
        self._read: list[Task] = []
        self._something_read = asyncio.Event()

    @asynccontextmanager
    async def watch(self, owner: str, task_ids: Sequence[str], *, signals: bool) -> AsyncGenerator[Watch]:
        """Follow those of these tasks that this owner has; the first snapshot of each is there at once."""
        async with self.register(owner, task_ids, signals=signals) as watch:
            watch.admit((await self._reader.find_many(task_ids)).values())
            yield watch

    @asynccontextmanager
    async def register(self, owner: str, task_ids: Sequence[str], *, signals: bool) -> AsyncGenerator[Watch]:
        """Follow tasks before the first reading, so that nothing in between is missed; `admit` completes it.

        Signals of other owners' tasks may collect until then, and must not be read before.
        """
        watch = Watch(owner, task_ids, signals=signals)
        for task_id in task_ids:
            self._by_task[task_id].add(watch)
        try:
            yield watch
        finally:
            for task_id in task_ids:
                followers = self._by_task.get(task_id)
                if followers is not None:
                    followers.discard(watch)
                    if not followers:
                        del self._by_task[task_id]

    async def run(self) -> None:
        """Turn signals into snapshots."""
        async with (
            self._bus.subscribe(TaskChanged, *get_args(LiveSignal)) as signals,
            anyio.create_task_group() as group,
        ):
            group.start_soon(self._read_what_is_due)
            group.start_soon(self._offer_what_was_read, signals)
            group.start_soon(self._read_everything_now_and_then)
            group.start_soon(self._look_for_lines_now_and_then)
            self._mark(self._by_task)  # a former run may have failed in the middle of something
            async for signal in signals:
                self._take(signal)

    def _take(self, signal: Signal) -> None:
        match signal:
            case TaskChanged(task_id):
                if task_id in self._by_task:
                    self._mark([task_id])
            case TaskProgressed() | TaskLogged() | TaskNoted() | VoiceTaken() | QuestionMisfit():
                for watch in self._by_task.get(signal.task_id, ()):
                    watch.offer_signal(signal)
            case Resync():
                self._mark(self._by_task)
                self._look_for_lines()
            case _:
                pass

    def _mark(self, task_ids: Iterable[str]) -> None:
        self._due.update(task_ids)
        self._something_due.set()

    async def _read_what_is_due(self) -> None:
        while True:
            await self._something_due.wait()
            self._something_due.clear()
            while self._due:
                batch = [self._due.pop() for _ in range(min(len(self._due), READ_AT_ONCE))]
                # Only who knew a task before the reading can miss it in there: others may still be creating it.
                knowing = [
                    (watch, task_id)
                    for task_id in batch
                    for watch in self._by_task.get(task_id, ())
                    if task_id in watch.accepted
                ]
                try:
                    found = await self._reader.look_up(batch)
                except DATABASE_UNAVAILABLE as error:
                    if not is_outage(error):
                        raise
                    log.warning("The database is not reachable, followers wait: %s", error)
                    self._due.update(batch)
                    await anyio.sleep(REREAD_WITHOUT_BUS_SECONDS)
                    continue
                for task in found.values():
                    if isinstance(task, Task):
                        self._take_snapshot(task)
                for watch, task_id in knowing:
                    if task_id not in found:
                        watch.miss(task_id)

    def _take_snapshot(self, task: Task) -> None:
        waits = False
        for watch in self._by_task.get(task.id, ()):
            if not watch.wants_signals:
                watch.offer(task)
            elif watch.lacks(task):
                waits = True
        if waits:
            self._read.append(task)
            self._something_read.set()

    async def _offer_what_was_read(self, signals: Subscription) -> None:
        """A row may be read before the signals have come that tell how it became so."""
        while True:
            await self._something_read.wait()
            self._something_read.clear()
            read, self._read = self._read, []
            await self._bus.catch_up(signals)
            for task in read:
                for watch in self._by_task.get(task.id, ()):
                    watch.offer(task)

    def _look_for_lines(self) -> None:
        for watch in {watch for watches in self._by_task.values() for watch in watches}:
            watch.look_for_lines()

    async def _read_everything_now_and_then(self) -> None:
        read_at = anyio.current_time()
        while True:
            # Never the longer pause in one piece: the bus may be lost in the middle of it.
            await anyio.sleep(REREAD_WITHOUT_BUS_SECONDS)
            if self._bus.connected.is_set() and anyio.current_time() - read_at < REREAD_SECONDS:
                continue
            self._mark(self._by_task)
            read_at = anyio.current_time()

    async def _look_for_lines_now_and_then(self) -> None:
        while True:
            # Also without the bus: each follower reads for itself.
            await anyio.sleep(REREAD_SECONDS)
            self._look_for_lines()
