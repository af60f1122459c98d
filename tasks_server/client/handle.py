"""A task whose id somebody holds: to wait for it, look at it, or cancel it, in whichever process."""

from __future__ import annotations

import mcp_types as types
from mcp import ClientSession

from tasks_server.client.following import Following, plain_result
from tasks_server.client.messages import DetailedTask
from tasks_server.client.options import Options
from tasks_server.client.pace import Pace
from tasks_server.client.push import TaskStream
from tasks_server.client.requests import TaskRequests


class TaskHandle:
    """Made by `TasksExtension.start` and `.attach`. Raises TaskNotFound, ServerUnreachable and MCPError."""

    def __init__(self, session: ClientSession, stream: TaskStream, task_id: str, options: Options) -> None:
        self.task_id = task_id
        self._session = session
        self._stream = stream
        self._options = options

    async def result(self, options: Options | None = None) -> types.CallToolResult:
        """Wait for the end. Whoever stops waiting leaves the task as it is; `cancel` ends it.

        Raises MCPError for a task that failed, TaskCancelled for one that was cancelled.
        """
        options = options or self._options
        following = Following(self._requests(options), self._stream, options)
        return plain_result(await following.ended(Pace(None, ask_at_once=True)))

    async def look(self) -> DetailedTask:
        """The task as it is now."""
        return await self._requests(self._options).get()

    async def cancel(self) -> None:
        """Ask for its end. Work that is just completing may win; `result` says which."""
        await self._requests(self._options).cancel()

    def _requests(self, options: Options) -> TaskRequests:
        return TaskRequests(self._session, self.task_id, options.patience_seconds, None)
