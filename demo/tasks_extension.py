"""The client's half of the Tasks extension (io.modelcontextprotocol/tasks, protocol revision 2026-07-28).

The official client carries extensions but brings no runtime for this one. With
`Client(url, extensions=[TasksExtension(observe)])`, `client.call_tool(…)` returns the plain result also of a
call that the server answered with a task: the extension subscribes to the task, answers its questions with
the client's own callbacks, and comes back with the outcome.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import ClientSession, MCPError
from mcp.client.extension import ClaimContext, ClientExtension, NotificationBinding, ResultClaim
from mcp.client.session import ClientRequestContext

PROGRESS_META_KEY = "tasks-server/progress"

# Pushed updates are a hint: after this much silence the record is asked.
SILENCE_SECONDS = 5.0

TaskStatus = Literal["working", "input_required", "completed", "failed", "cancelled"]


class CreateTaskResult(types.Result):
    """What `tools/call` answers when the work goes on as a task."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: TaskStatus


class DetailedTask(types.Result):
    """A task at one instant: the result of `tasks/get` and the params of `notifications/tasks`."""

    task_id: str
    status: TaskStatus
    status_message: str | None = None
    input_requests: dict[str, types.InputRequest] = {}
    result: dict[str, Any] | None = None
    error: types.ErrorData | None = None

    @property
    def is_terminal(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")

    @property
    def progress(self) -> dict[str, Any]:
        """`progress`, `total` and `message` as the tool reported them; this server's own addition."""
        return dict((self.meta or {}).get(PROGRESS_META_KEY) or {})


class TaskParams(types.RequestParams):
    task_id: str


class UpdateTaskParams(TaskParams):
    input_responses: types.InputResponses


class GetTaskRequest(types.Request[TaskParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskParams
    name_param = "taskId"


class UpdateTaskRequest(types.Request[UpdateTaskParams, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    params: UpdateTaskParams
    name_param = "taskId"


class CancelTaskRequest(types.Request[TaskParams, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: TaskParams
    name_param = "taskId"


class TaskCancelled(Exception):
    """The task was cancelled before it had a result."""


def _ignore(_task: DetailedTask) -> None:
    pass


class TasksExtension(ClientExtension):
    """Finishes calls that became tasks. `observe` sees every snapshot of every task, the final one too.

    A call that is given up, be it cancelled or because nobody answers the task's question, cancels the task.
    Raises MCPError for a task that failed and TaskCancelled for one that somebody else cancelled; a tool's own
    error is an ordinary result with `is_error`.
    """

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, observe: Callable[[DetailedTask], None] = _ignore) -> None:
        self._observe = observe
        self._pushed: dict[str, MemoryObjectSendStream[DetailedTask]] = {}

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return (ResultClaim(result_type="task", model=CreateTaskResult, resolve=self._resolve),)

    def notifications(self) -> Sequence[NotificationBinding[Any]]:
        return (
            NotificationBinding(
                method="notifications/tasks", params_type=DetailedTask, handler=self._receive
            ),
        )

    async def _receive(self, task: DetailedTask) -> None:
        if stream := self._pushed.get(task.task_id):
            with suppress(anyio.BrokenResourceError):
                stream.send_nowait(task)

    async def _resolve(self, created: CreateTaskResult, context: ClaimContext) -> types.CallToolResult:
        session, task_id = context.session, created.task_id
        send, receive = anyio.create_memory_object_stream[DetailedTask](math.inf)
        self._pushed[task_id] = send
        listening = asyncio.create_task(_listen(session, task_id))
        try:
            task = await self._follow(session, task_id, receive)
        except BaseException:  # nobody waits for it any more, whatever the reason
            await _cancel(session, task_id)
            raise
        finally:
            del self._pushed[task_id]
            send.close()
            receive.close()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        return _outcome(task)

    async def _follow(
        self, session: ClientSession, task_id: str, pushed: MemoryObjectReceiveStream[DetailedTask]
    ) -> DetailedTask:
        """Watch the task to its end, answering each of its questions once."""
        answered: set[str] = set()
        while True:
            task = await _next_snapshot(session, task_id, pushed)
            self._observe(task)
            if task.is_terminal:
                return task
            open_questions = {key: task.input_requests[key] for key in task.input_requests.keys() - answered}
            if open_questions:
                answered |= open_questions.keys()
                await _answer(session, task_id, open_questions)


async def _next_snapshot(
    session: ClientSession, task_id: str, pushed: MemoryObjectReceiveStream[DetailedTask]
) -> DetailedTask:
    with anyio.move_on_after(SILENCE_SECONDS):
        return await pushed.receive()
    return await session.send_request(GetTaskRequest(params=TaskParams(task_id=task_id)), DetailedTask)


async def _listen(session: ClientSession, task_id: str) -> None:
    """Hold a subscription open. What it brings arrives through the notification binding.

    Losing it is no error, and neither is its refusal: `_next_snapshot` then polls.
    """
    wanted = types.SubscriptionFilter.model_validate({"taskIds": [task_id]})
    request = types.SubscriptionsListenRequest(
        params=types.SubscriptionsListenRequestParams(notifications=wanted)
    )
    with suppress(MCPError):
        await session.send_request(request, types.Result)


async def _answer(session: ClientSession, task_id: str, questions: dict[str, types.InputRequest]) -> None:
    """Put the questions to the client's callbacks and send back what they answer."""
    responses: types.InputResponses = {}
    for key, question in questions.items():
        context = ClientRequestContext(session=session, request_id=key)
        response = await session.dispatch_input_request(context, question)
        if isinstance(response, types.ErrorData):
            raise MCPError(response.code, response.message)
        responses[key] = response
    params = UpdateTaskParams(task_id=task_id, input_responses=responses)
    await session.send_request(UpdateTaskRequest(params=params), types.EmptyResult)


async def _cancel(session: ClientSession, task_id: str) -> None:
    with anyio.move_on_after(2, shield=True), suppress(MCPError):
        request = CancelTaskRequest(params=TaskParams(task_id=task_id))
        await session.send_request(request, types.EmptyResult)


def _outcome(task: DetailedTask) -> types.CallToolResult:
    if task.error is not None:
        raise MCPError(task.error.code, task.error.message, task.error.data)
    if task.result is None:
        raise TaskCancelled(task.status_message or "The task was cancelled.")
    return types.CallToolResult.model_validate(task.result, by_name=False)
