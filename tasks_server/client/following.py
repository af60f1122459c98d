"""Waiting for the end of a task: pushed snapshots first, the record when there is silence."""

from __future__ import annotations

import logging

import anyio
import mcp_types as types
from anyio.abc import TaskGroup
from mcp import MCPError

from tasks_server.client.answering import Answering
from tasks_server.client.errors import TaskCancelled
from tasks_server.client.messages import DetailedTask
from tasks_server.client.options import Options
from tasks_server.client.pace import Pace
from tasks_server.client.push import Inbox, TaskStream, is_older
from tasks_server.client.requests import TaskRequests

log = logging.getLogger(__name__)


class Following:
    """Follows one task to its end, tells of it, and answers its questions."""

    def __init__(self, requests: TaskRequests, stream: TaskStream, options: Options) -> None:
        self._requests = requests
        self._stream = stream
        self._options = options
        self._told: DetailedTask | None = None

    async def begun(self, task: DetailedTask) -> None:
        """Tell of a task that has just been created."""
        await self._tell(task)

    async def ended(self, pace: Pace) -> DetailedTask:
        """The task once it has ended. Raises what the client's callbacks for questions raise, too."""
        failed: Exception | None = None
        task: DetailedTask | None = None
        try:
            with self._stream.inbox(self._requests.task_id) as inbox:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._stream.listen, self._requests.session)
                    task = await self._followed(inbox, pace, group)
                    group.cancel_scope.cancel()
        except ExceptionGroup as group_failed:
            failed = group_failed.exceptions[0]
        if task is None:
            assert failed is not None
            raise failed  # as itself: nobody who calls a tool expects a group
        return task

    async def _followed(self, inbox: Inbox, pace: Pace, group: TaskGroup) -> DetailedTask:
        answering = Answering(self._requests, group)
        while True:
            task = await self._next(inbox, pace)
            await self._tell(task)
            if task.has_ended:
                return task
            if self._options.answers:
                answering.settle(task.input_requests)

    async def _next(self, inbox: Inbox, pace: Pace) -> DetailedTask:
        while True:
            with anyio.move_on_after(pace.seconds_left(is_pushed=inbox.is_live)):
                await inbox.wait()
            pushed = inbox.take()
            if pushed is not None:
                if self._told is not None and is_older(pushed, self._told):
                    continue
                return pace.seen(pushed)
            if pace.seconds_left(is_pushed=inbox.is_live) <= 0:
                return pace.seen(await self._requests.get())

    async def _tell(self, task: DetailedTask) -> None:
        before, self._told = self._told, task
        if before is not None and _visible(before) == _visible(task):
            return
        progress = task.progress
        try:
            if self._options.on_update:
                await self._options.on_update(task)
            if self._options.on_progress and progress and (before is None or before.progress != progress):
                await self._options.on_progress(progress.progress, progress.total, task.status_message)
        except Exception:
            log.exception("A callback of task %s failed; the task is followed all the same", task.task_id)


def _visible(task: DetailedTask) -> tuple[object, ...]:
    """What a person would call a change; `_meta` also says by which way a snapshot has come."""
    return task.status, task.status_message, task.progress, task.last_updated_at, set(task.input_requests)


def plain_result(task: DetailedTask) -> types.CallToolResult:
    """The tool's result. Raises MCPError for a task that failed, TaskCancelled for one without an outcome."""
    if task.error is not None:
        raise MCPError.from_error_data(task.error)
    if task.result is None:
        raise TaskCancelled(task.task_id, task.status_message)
    return types.CallToolResult.model_validate(task.result, by_name=False)
