"""Following tasks as they change, without a poll or a Redis connection per follower.

Subscribe, read the record, then stream: a signal says which task to read again, all tasks that are due are
read in one SELECT, and what followers see is always a committed row. A slow re-read of everything that is
followed makes good whatever signals were lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import get_args

import anyio

from tasks_server.bus import Bus
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

log = logging.getLogger(__name__)

REREAD_SECONDS = 10.0
REREAD_WITHOUT_BUS_SECONDS = 1.0
READ_AT_ONCE = 500
SIGNALS_KEPT = 1_000

LiveSignal = TaskProgressed | TaskLogged | TaskNoted | VoiceTaken | QuestionMisfit


class Watch:
    """One follower of some tasks of one owner: the newest snapshot of each, and live signals if wanted.

    The first snapshots come before any signal, except those of tasks that have ended. A follower that is slow skips
    revisions, never the last one. Iteration ends when every task has ended.
    """

    def __init__(self, owner: str, task_ids: Iterable[str], *, signals: bool) -> None:
        self.accepted: tuple[str, ...] = ()
        self._owner = owner
        self._wants_signals = signals
        self._revisions = dict.fromkeys(task_ids, 0)
        self._snapshots: dict[str, Task] = {}
        self._unseen: list[str] = []
        # Thousands of watches are silent: a deque and an event would take 1.5 KB of each.
        self._signals: list[LiveSignal] = []
        self._lines_in_record: set[str] = set()
        self._waiting: asyncio.Future[None] | None = None

    def admit(self, tasks: Iterable[Task]) -> None:
        """The first reading: what is not in it, or belongs to somebody else, is not followed."""
        for task in tasks:
            self.offer(task)
        self.accepted = tuple(task_id for task_id, revision in self._revisions.items() if revision > 0)
        self._revisions = {task_id: self._revisions[task_id] for task_id in self.accepted}
        self._signals = [signal for signal in self._signals if signal.task_id in self._revisions]
        # What one that has ended already has said goes before its end.
        self._unseen = [task_id for task_id, task in self._snapshots.items() if not task.is_terminal]
        self._wake()

    def miss(self, task_id: str) -> None:
        """The task is not there any more; nothing will ever be heard of it."""
        if task_id not in self._snapshots:
            self._revisions.pop(task_id, None)
        self._wake()

    def offer(self, task: Task) -> None:
        """A snapshot; what is not newer than the last one is dropped."""
        known = self._revisions.get(task.id)
        if task.owner == self._owner and known is not None and task.revision > known:
            self._revisions[task.id] = task.revision
            self._snapshots[task.id] = task
            if task.origin.has_handshake:
                self._lines_in_record.add(task.id)
            self._wake()

    def offer_signal(self, signal: LiveSignal) -> None:
        if self._wants_signals and signal.task_id in self._revisions:
            before = self._signals[-1] if self._signals else None
            if (
                isinstance(signal, TaskNoted)
                and isinstance(before, TaskNoted)
                and before.task_id == signal.task_id
            ):
                self._signals.pop()
                signal = TaskNoted(signal.task_id, min(before.after, signal.after), signal.newest)
            self._signals.append(signal)
            del self._signals[:-SIGNALS_KEPT]
            self._wake()

    def look_for_lines(self) -> None:
        """`TaskNoted` may have been missed."""
        for task_id in self._lines_in_record:
            self.offer_signal(TaskNoted(task_id))

    def __aiter__(self) -> AsyncIterator[Task | LiveSignal]:
        return self

    async def __anext__(self) -> Task | LiveSignal:
        while True:
            if self._unseen:
                return self._take_snapshot(self._unseen.pop(0))
            if self._signals:
                return self._signals.pop(0)
            if self._snapshots:
                return self._take_snapshot(next(iter(self._snapshots)))
            if not self._revisions:
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _take_snapshot(self, task_id: str) -> Task:
        task = self._snapshots.pop(task_id)
        if task.is_terminal:
            del self._revisions[task_id]
        return task


class Watchers:
    """All followers in this process. `run` serves them until cancelled."""

    def __init__(self, bus: Bus, reader: TaskReader) -> None:
        self._bus = bus
        self._reader = reader
        self._by_task: dict[str, set[Watch]] = defaultdict(set)
        self._due: set[str] = set()
        self._something_due = asyncio.Event()

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
                        for watch in self._by_task.get(task.id, ()):
                            watch.offer(task)
                for watch, task_id in knowing:
                    if task_id not in found:
                        watch.miss(task_id)

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
