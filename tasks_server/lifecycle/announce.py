"""What follows a commit: tell the queue what waits, tell the bus what changed. Never before, never instead."""

from __future__ import annotations

from collections.abc import Sequence

from tasks_server.bus import Bus
from tasks_server.queue import Dispatch, TaskQueue
from tasks_server.signals import SessionTask, Signal, TaskChanged, TaskNoted, TaskNudged
from tasks_server.task import Door, NewTask, Task


class Announcer:
    """Both halves are hints: what is lost here, the dispatcher and the re-reading of watchers make good."""

    def __init__(self, queue: TaskQueue, bus: Bus) -> None:
        self._queue = queue
        self._bus = bus

    async def waiting(self, tasks: Sequence[Task]) -> None:
        """These tasks wait for a worker."""
        await self._queue.enqueue([Dispatch(task.id, task.attempt, task.queue, task.owner) for task in tasks])

    async def handed_out(self, news: Sequence[NewTask]) -> None:
        """The streams of their sessions hear of new tasks that somebody else than their caller may follow."""
        signals = [
            SessionTask(new.origin.session, new.id)
            for new in news
            if new.origin.session is not None and new.origin.door is Door.HANDLE
        ]
        if signals:
            await self._bus.publish(*signals)

    async def changed(self, *task_ids: str) -> None:
        """The record of these tasks has a new revision."""
        await self._bus.publish(*(TaskChanged(task_id) for task_id in task_ids))

    def changed_soon(self, task_id: str) -> None:
        """The same, for a worker that has better things to do than to wait for Redis."""
        self._bus.publish_soon(TaskChanged(task_id))

    async def nudged(self, task_id: str) -> None:
        """A caller changed this task: followers look again, and so does the worker that runs it."""
        await self._bus.publish(TaskChanged(task_id), TaskNudged(task_id))

    async def noted(self, task_id: str, lines: Sequence[int]) -> None:
        """There are new log lines of this task in the record, under these ids."""
        await self._bus.publish(TaskNoted(task_id, min(lines) - 1, max(lines)))

    async def signal(self, *signals: Signal) -> None:
        await self._bus.publish(*signals)
