"""The tools that follow tasks, called under this revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks_server.protocol.dialect import Call, Outlet, Stream
from tasks_server.protocol.jsonrpc import MissingClientCapability, Result
from tasks_server.protocol.task_tools import calls
from tasks_server.protocol.task_tools.calls import Delivered, Wait
from tasks_server.protocol.task_tools.readable import ToolResult
from tasks_server.protocol.v2026_07_28.attached import Attached
from tasks_server.protocol.v2026_07_28.request_state import input_responses, open_state
from tasks_server.protocol.v2026_07_28.results import complete, direct
from tasks_server.task import Task


async def call_task_tool(call: Call, name: str, arguments: dict[str, Any]) -> Result | Stream:
    answer = await calls.call_task_tool(call.parts, call.caller.owner, name, arguments)
    return _followed(call, answer) if isinstance(answer, Wait) else _as_result(answer)


@dataclass(kw_only=True)
class _Waiting(Attached):
    """One `task_wait`: like an attached call, except that what cannot be had is said in a tool result."""

    wait: Wait

    async def _questions(self, task: Task) -> Result | None:
        try:
            return await super()._questions(task)
        except MissingClientCapability:
            return complete(**self.wait.cannot_ask(task))

    def _outcome(self, task: Task) -> Result:
        return _as_result(self.wait.ended(task))


def _followed(call: Call, wait: Wait) -> Stream:
    # The arguments name the task; the state of an earlier round has nothing to add, but must not be forged.
    open_state(call)
    responses = input_responses(call)

    async def run(outlet: Outlet) -> Result:
        waiting = _Waiting(call, wait.task_id, outlet, {}, responses, wait, keeps_task=True, wait=wait)
        return await waiting.follow(call.parts.service.watch(wait.owner, [wait.task_id], signals=True))

    return Stream(run)


def _as_result(answer: ToolResult | Delivered) -> Result:
    return direct(answer.outcome) if isinstance(answer, Delivered) else complete(**answer)
