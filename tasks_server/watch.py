"""What one follower of some tasks sees: each new snapshot, and live signals in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from tasks_server.signals import QuestionMisfit, TaskLogged, TaskNoted, TaskProgressed, VoiceTaken
from tasks_server.task import Task

SIGNALS_KEPT = 1_000

LiveSignal = TaskProgressed | TaskLogged | TaskNoted | VoiceTaken | QuestionMisfit


class Watch:
    """One follower of some tasks of one owner: the newest snapshot of each, and live signals if wanted.

    The first snapshots come before any signal, except those of tasks that have ended. A follower that is slow skips
    revisions, never the last one. Iteration ends when every task has ended.
    """

    def __init__(self, owner: str, task_ids: Iterable[str], *, signals: bool) -> None:
        self.accepted: tuple[str, ...] = ()
        self.wants_signals = signals
        self._owner = owner
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

    def lacks(self, task: Task) -> bool:
        """Whether this snapshot is newer than the last one."""
        known = self._revisions.get(task.id)
        return task.owner == self._owner and known is not None and task.revision > known

    def offer(self, task: Task) -> None:
        """A snapshot; what is not newer than the last one is dropped."""
        if self.lacks(task):
            self._revisions[task.id] = task.revision
            self._snapshots[task.id] = task
            if task.origin.has_handshake:
                self._lines_in_record.add(task.id)
            self._wake()

    def offer_signal(self, signal: LiveSignal) -> None:
        if self.wants_signals and signal.task_id in self._revisions:
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
