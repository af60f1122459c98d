"""What callers can do with tasks: submit, get, watch, answer, cancel. Everything is scoped to its owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tasks_server.errors import INTERNAL_ERROR, RpcError, TaskNotFound, TaskUnreadable
from tasks_server.lifecycle.requests import ClientRequests
from tasks_server.store.lists import TaskLists
from tasks_server.store.reading import TaskReader
from tasks_server.task import NewTask, Task, TaskEvent
from tasks_server.task_page import Place, TaskPage
from tasks_server.watch import Watch
from tasks_server.watchers import Watchers


class TaskService:
    """One per process. A missing, expired or foreign id is TaskNotFound, with the same words."""

    def __init__(
        self, reader: TaskReader, lists: TaskLists, requests: ClientRequests, watchers: Watchers
    ) -> None:
        self._reader = reader
        self._lists = lists
        self._requests = requests
        self._watchers = watchers

    async def submit(self, new: NewTask) -> Task:
        """Record a task and hand it to its workers. It is durable, and known to every replica, on return.

        Under an idempotency key that the owner has used before for the same request, the task is the one that is
        there, as it is now. Raises IdempotencyConflict for another request, TooManyQueued at the owner's limit.
        """
        task = await self._requests.create(new)
        return task if task.id == new.id else await self.get(new.owner, task.id)

    @asynccontextmanager
    async def submit_and_watch(self, new: NewTask) -> AsyncGenerator[Watch]:
        """Submit a task and follow it with live signals; of a task that is new none is missed."""
        async with self._watchers.register(new.owner, [new.id], signals=True) as watch:
            creating = asyncio.ensure_future(self._requests.create(new))
            try:
                task = await asyncio.shield(creating)
            except asyncio.CancelledError:
                # The row may be on its way; whoever cancelled us must find it there to cancel it.
                await asyncio.wait([creating])
                raise
            if task.id == new.id:
                watch.admit([task])
                yield watch
                return
        async with self.watch(new.owner, [task.id], signals=True) as watch:
            yield watch

    async def get(self, owner: str, task_id: str) -> Task:
        """The task as it is now, with all its outstanding questions. Raises TaskNotFound."""
        try:
            task = await self._reader.find(task_id)
        except TaskUnreadable as unreadable:
            if unreadable.owner == owner:
                raise RpcError(INTERNAL_ERROR, str(unreadable)) from None
            task = None
        if task is None or task.owner != owner:
            raise TaskNotFound(task_id)
        return task

    def watch(
        self, owner: str, task_ids: Sequence[str], *, signals: bool = False
    ) -> AbstractAsyncContextManager[Watch]:
        """Follow tasks: a snapshot of each at once, then one per change. `Watch.accepted` names those that exist."""
        return self._watchers.watch(owner, list(dict.fromkeys(task_ids)), signals=signals)

    async def list(self, owner: str, after: Place | None, limit: int) -> TaskPage:
        """The tasks that were handed out to this owner, newest first, without what they carry."""
        return await self._lists.page(owner, after, limit)

    async def unfinished_of_session(self, owner: str, session: str) -> Sequence[str]:
        """Ids of the handed-out tasks of a session that have not ended, newest first."""
        return await self._lists.unfinished_of_session(owner, session)

    async def changed_of_session(self, owner: str, session: str, since_ms: int) -> Sequence[Task]:
        """The handed-out tasks of a session that have changed since then (or shortly before), oldest change first."""
        ids = await self._lists.changed_of_session(owner, session, since_ms)
        tasks = await self._reader.find_many(ids)
        return sorted(tasks.values(), key=lambda task: task.updated_at)

    async def find_request(self, owner: str, session: str, request_id: str | int) -> str | None:
        """The id of the task that a request of a session has made, by its JSON-RPC id."""
        return await self._lists.find_request(owner, session, request_id)

    async def events_after(
        self, owner: str, task_id: str, after_id: int, limit: int = 500
    ) -> Sequence[TaskEvent]:
        """Log lines and questions of a task from behind this event on (0: all of them), oldest first."""
        return await self._reader.events_after(owner, task_id, after_id, limit)

    async def newest_event(self, owner: str, task_id: str) -> int:
        """Behind which event only what is to come is found; 0 if there is none yet."""
        return await self._reader.newest_event(owner, task_id)

    async def clock(self) -> int:
        """The database's time in milliseconds, by which tasks change."""
        return await self._lists.clock()

    async def hand_out(self, owner: str, task_id: str, retention_ms: int | None) -> Task:
        """Turn an attached call into a task that its owner fetches by id, kept for so long after its end.

        One that has ended meanwhile stays as it is. Raises TaskNotFound.
        """
        task = await self.get(owner, task_id)
        if not task.is_terminal:
            await self._requests.hand_out(owner, task_id, retention_ms)
        return await self.get(owner, task_id)

    async def answer(self, owner: str, task_id: str, responses: Mapping[str, Any]) -> Task:
        """Answer outstanding questions by key; other keys are ignored. A finished task stays as it is.

        Raises TaskNotFound; InvalidAnswer when a value does not fit, and then nothing is stored.
        """
        task = await self.get(owner, task_id)
        if not task.is_terminal:
            await self._requests.answer(owner, task_id, responses)
        return await self.get(owner, task_id)

    async def cancel(self, owner: str, task_id: str) -> Task:
        """Stop the work. Cooperative: a running task ends as cancelled once its worker has stopped it.

        Idempotent. Raises TaskNotFound.
        """
        task = await self.get(owner, task_id)
        if not task.is_terminal:
            await self._requests.cancel(owner, task_id)
        return await self.get(owner, task_id)
