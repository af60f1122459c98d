"""The attached door: the server follows a task on the caller's behalf and answers with its plain result.

Progress and log lines go to the caller while it waits, if it asked for them. When the task asks something,
the call ends with an InputRequiredResult whose `requestState` names the task; the retry goes on with the
same task, it is never started again. A caller that goes away cancels the task, because nobody else knows of
it; one that has waited for too long is told its id, and the task goes on.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from tasks_server.elicitation import cannot_be_asked, merge_capabilities
from tasks_server.errors import INTERNAL_ERROR, RpcError, TaskNotFound, TasksError
from tasks_server.protocol.dialect import Call, Outlet, Stream
from tasks_server.protocol.jsonrpc import InvalidParams, MissingClientCapability, Result
from tasks_server.protocol.scalars import number
from tasks_server.protocol.task_tools.readable import ToolResult
from tasks_server.protocol.v2026_07_28.request_state import (
    RequestState,
    input_responses,
    seal_state,
)
from tasks_server.protocol.v2026_07_28.results import complete, direct, input_required
from tasks_server.signals import TaskLogged, TaskProgressed
from tasks_server.task import Door, Method, NewTask, OutcomeKind, Task, TaskStatus
from tasks_server.watch import Watch

SETTLE_SECONDS = 0.03
"""How long a task that asks may take to ask everything it wants to ask at once."""

LOOK_AGAIN_SECONDS = 1.0
"""After the end of a limit that could not be kept: the task is just ending, or the database is away."""

_RESUMABLE = frozenset({Method.CALL_TOOL, Method.GET_PROMPT, Method.READ_RESOURCE})


class Limit(Protocol):
    """How long a caller may wait, and what it is told then."""

    @property
    def seconds(self) -> float: ...

    async def time_is_up(self, task_id: str) -> ToolResult | None:
        """The answer without the task's result. None: wait on, there will be another one."""
        ...


def start(call: Call, new: NewTask, limit: Limit | None = None, **fields: Any) -> Stream:
    """Carry out `new` while the caller waits. `fields` are added to the result unless it has them itself."""
    responses = input_responses(call)
    watching = call.parts.service.submit_and_watch(new)
    returns = new.idempotency_key is not None
    return Stream(
        lambda outlet: Attached(call, new.id, outlet, fields, responses, limit, returns).follow(watching)
    )


def resume(call: Call, task_id: str, limit: Limit | None = None, **fields: Any) -> Stream:
    """Go on waiting for a task that an earlier round of this call has started, with the answers it brings."""

    async def run(outlet: Outlet) -> Result:
        responses = input_responses(call)
        try:
            await call.parts.service.answer(call.caller.owner, task_id, responses)
        except TaskNotFound:
            raise InvalidParams("params.requestState is refused: the call it belongs to is gone.") from None
        watching = call.parts.service.watch(call.caller.owner, [task_id], signals=True)
        return await Attached(call, task_id, outlet, fields, {}, limit).follow(watching)

    return Stream(run)


@dataclass(slots=True)
class Attached:
    """One caller waiting for one task.

    responses: answers that came before their questions; each is used once, when its question comes up.
    keeps_task: whether the task outlives this wait, because it has ended, or been handed out, or its caller is to come
    back (who gave an idempotency key can: by calling again).
    """

    call: Call
    task_id: str
    outlet: Outlet
    fields: dict[str, Any]
    responses: dict[str, Any]
    limit: Limit | None = None
    keeps_task: bool = False
    progress: float = field(default=-math.inf)

    async def follow(self, watching: AbstractAsyncContextManager[Watch]) -> Result:
        try:
            return await self._unless_closing(self._watch(watching))
        finally:
            if not self.keeps_task:
                with suppress(TasksError):
                    await self.call.parts.service.cancel(self.call.caller.owner, self.task_id)

    async def _unless_closing(self, waiting: Coroutine[Any, Any, Result]) -> Result:
        work = asyncio.ensure_future(waiting)
        bell = asyncio.ensure_future(self.outlet.closing())
        patience = None if self.limit is None else self.limit.seconds
        try:
            while True:
                await asyncio.wait({work, bell}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    return work.result()
                if bell.done():
                    return self._step_aside()
                if (result := await self._time_is_up()) is not None:
                    return result
                patience = LOOK_AGAIN_SECONDS
        finally:
            bell.cancel()
            work.cancel()
            await asyncio.gather(work, bell, return_exceptions=True)

    async def _time_is_up(self) -> Result | None:
        said = None if self.limit is None else await self.limit.time_is_up(self.task_id)
        if said is None:
            return None
        self.keeps_task = True
        return complete(**said)

    def _step_aside(self) -> Result:
        """This server stops: the client may come back at once and go on waiting at another one."""
        if self.call.request.method not in _RESUMABLE:
            raise RpcError(INTERNAL_ERROR, "The server is shutting down; ask again.")
        self.keeps_task = True
        return input_required(None, seal_state(self.call, RequestState(self.task_id)))

    async def _watch(self, watching: AbstractAsyncContextManager[Watch]) -> Result:
        async with watching as watch:
            # Under an idempotency key it may be another task than the one that was to be created.
            self.task_id = next(iter(watch.accepted), self.task_id)
            async for event in watch:
                match event:
                    case TaskProgressed():
                        await self._tell_progress(event.progress, event.total, event.message)
                    case TaskLogged():
                        await self._tell_log(event)
                    case Task() if (result := await self._look_at(event)) is not None:
                        return result
                    case _:
                        pass
        raise TaskNotFound(self.task_id)

    async def _look_at(self, task: Task) -> Result | None:
        if task.origin.door is Door.HANDLE:
            self.keeps_task = True
        if task.progress is not None and not task.is_terminal:
            # The record keeps one message: the newest, with progress or without.
            await self._tell_progress(task.progress, task.progress_total, task.status_message)
        if task.is_terminal:
            self.keeps_task = True
            return self._outcome(task)
        if task.status is TaskStatus.INPUT_REQUIRED:
            return await self._questions(task)
        return None

    async def _questions(self, task: Task) -> Result | None:
        await asyncio.sleep(SETTLE_SECONDS)
        service, owner = self.call.parts.service, self.call.caller.owner
        task = await service.get(owner, task.id)
        foreseen = {
            question.key: self.responses.pop(question.key)
            for question in task.input_requests
            if question.key in self.responses
        }
        if foreseen:
            task = await service.answer(owner, task.id, foreseen)
        if task.status is not TaskStatus.INPUT_REQUIRED:
            return None
        asked = self._askable(task)
        self.keeps_task = True
        return input_required(asked, seal_state(self.call, RequestState(task.id)))

    def _askable(self, task: Task) -> dict[str, Any]:
        """The questions this caller may be asked. Raises MissingClientCapability if it is none of them."""
        asked: dict[str, Any] = {}
        lacking: list[Mapping[str, Any]] = []
        for question in task.input_requests:
            required = self.call.caller.lacks(orjson.loads(question.request))
            if required is None:
                asked[question.key] = orjson.Fragment(question.request)
            else:
                lacking.append(required)
        if not asked:
            required = merge_capabilities(lacking)
            raise MissingClientCapability(required, cannot_be_asked(task.name, required))
        return asked

    def _outcome(self, task: Task) -> Result:
        outcome = task.outcome or "{}"
        match task.outcome_kind:
            case OutcomeKind.RESULT:
                return direct(outcome, **self.fields)
            case OutcomeKind.RPC_ERROR:
                error = orjson.loads(outcome)
                raise RpcError(error["code"], error["message"], error.get("data"))
            case _:
                raise RpcError(INTERNAL_ERROR, task.status_message or "The call was cancelled.")

    async def _tell_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Only to callers that gave a token, and only forward (basic/patterns/progress)."""
        token = self.call.caller.progress_token
        if token is None or progress <= self.progress:
            return
        self.progress = progress
        params: dict[str, Any] = {"progressToken": token, "progress": number(progress)}
        if total is not None:
            params["total"] = number(total)
        if message is not None:
            params["message"] = message
        await self.outlet.notify("notifications/progress", params)

    async def _tell_log(self, line: TaskLogged) -> None:
        if not self.call.caller.wants_log(line.level):
            return
        params: dict[str, Any] = {"level": line.level, "data": line.data}
        if line.logger is not None:
            params["logger"] = line.logger
        await self.outlet.notify("notifications/message", params)
