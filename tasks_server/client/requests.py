"""`tasks/get`, `tasks/update` and `tasks/cancel` of one task, patiently."""

from __future__ import annotations

from typing import Any, TypeVar

import anyio
import mcp_types as types
from mcp import ClientSession, MCPError
from pydantic import BaseModel

from tasks_server.client.errors import ServerUnreachable, TaskNotFound
from tasks_server.client.messages import (
    CancelTaskRequest,
    DetailedTask,
    GetTaskRequest,
    TaskParams,
    UpdateTaskParams,
    UpdateTaskRequest,
)

ResultT = TypeVar("ResultT", bound=BaseModel)

REQUEST_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
PASSING = (types.INTERNAL_ERROR, types.REQUEST_TIMEOUT)


class TaskRequests:
    """Each may be sent again without harm, so an error that may pass is waited out.

    Raises TaskNotFound; ServerUnreachable after patience_seconds, or as soon as the connection is gone; MCPError.
    """

    def __init__(
        self, session: ClientSession, task_id: str, patience_seconds: float, request_seconds: float | None
    ) -> None:
        self.session = session
        self.task_id = task_id
        self._patience_seconds = patience_seconds
        self._request_seconds = request_seconds or REQUEST_SECONDS

    async def get(self) -> DetailedTask:
        request = GetTaskRequest(params=TaskParams(task_id=self.task_id))
        try:
            return await self._send(request, DetailedTask)
        except MCPError as error:
            if error.code == types.INVALID_PARAMS:
                raise TaskNotFound(self.task_id, error) from error
            raise

    async def update(self, responses: types.InputResponses) -> None:
        """An MCPError with INVALID_PARAMS may also mean that an answer does not fit its question."""
        params = UpdateTaskParams(task_id=self.task_id, input_responses=responses)
        await self._send(UpdateTaskRequest(params=params), types.EmptyResult)

    async def cancel(self) -> None:
        request = CancelTaskRequest(params=TaskParams(task_id=self.task_id))
        try:
            await self._send(request, types.EmptyResult)
        except MCPError as error:
            if error.code == types.INVALID_PARAMS:
                raise TaskNotFound(self.task_id, error) from error
            raise

    async def _send(self, request: types.Request[Any, Any], result: type[ResultT]) -> ResultT:
        pause = FIRST_PAUSE_SECONDS
        give_up_at = anyio.current_time() + self._patience_seconds
        while True:
            try:
                return await self.session.send_request(request, result, self._request_seconds)
            except MCPError as error:
                if error.code == types.CONNECTION_CLOSED:
                    raise ServerUnreachable(self.task_id, error.message) from error
                if error.code not in PASSING:
                    raise
                if anyio.current_time() + pause > give_up_at:
                    raise ServerUnreachable(self.task_id, error.message) from error
            await anyio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
