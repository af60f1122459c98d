"""Carrying out the tools that follow tasks. Every task is looked up for its owner only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jsonschema_rs

from tasks_server.errors import TaskNotFound
from tasks_server.misfits import misfits
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.task_tools import offers
from tasks_server.protocol.task_tools.detaching import unless_away
from tasks_server.protocol.task_tools.listing import own_tools
from tasks_server.protocol.task_tools.readable import ToolResult, as_structured, in_words, reason, said
from tasks_server.task import Door, OutcomeKind, Task, TaskStatus
from tasks_server.task_page import read_cursor

MAX_REASONS = 5
TASKS_PER_PAGE = 20
AGAIN = "There is no result yet: call task_wait with the same taskId."


@dataclass(frozen=True, slots=True)
class Delivered:
    """The tool's own result as it is recorded, encoded: the answer is exactly this."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Wait:
    """`task_wait`: follow the task for so long, on the caller's behalf. It goes on whatever becomes of the caller."""

    parts: Parts
    owner: str
    task_id: str
    seconds: float

    async def time_is_up(self, task_id: str) -> ToolResult | None:
        """How far the task is. None if it has just ended, or if that cannot be said at the moment."""
        task = await unless_away(lambda: self.parts.service.get(self.owner, task_id))
        return None if task is None or task.is_terminal else _open(self.parts, task)

    def ended(self, task: Task) -> ToolResult | Delivered:
        return _ended(task)

    def cannot_ask(self, task: Task) -> ToolResult:
        """The task waits for answers that nobody can be asked for here."""
        text = f"{in_words(task)} This client cannot put questions to its user, so the task waits for another one."
        return said(text, as_structured(task), is_error=True)


Answer = ToolResult | Delivered | Wait


def is_task_tool(parts: Parts, name: str) -> bool:
    """Whether the server itself carries out this tool."""
    return any(tool.name == name for tool in own_tools(parts))


async def call_task_tool(parts: Parts, owner: str, name: str, arguments: Mapping[str, Any]) -> Answer:
    """What cannot be done is a tool result too, which tells the model why."""
    if problems := misfits(_validators()[name], arguments, at_most=MAX_REASONS):
        return said("\n".join(["The arguments do not fit:", *problems]), is_error=True)
    try:
        return await _CARRIED_OUT[name](parts, owner, arguments)
    except TaskNotFound as error:
        return said(str(error), is_error=True)


async def _status(parts: Parts, owner: str, arguments: Mapping[str, Any]) -> ToolResult:
    task = parts.waiting.explained(await _found(parts, owner, arguments))
    return said(in_words(task) + _next_step(task), as_structured(task))


async def _wait(parts: Parts, owner: str, arguments: Mapping[str, Any]) -> Answer:
    task = await _found(parts, owner, arguments)
    if task.is_terminal:
        return _ended(task)
    wait = waiting_for(parts, owner, task.id)
    return replace(wait, seconds=min(arguments.get("seconds", wait.seconds), wait.seconds))


def waiting_for(parts: Parts, owner: str, task_id: str) -> Wait:
    """The longest that a task is waited for in one go."""
    most = min(offers.LONGEST_WAIT_SECONDS, parts.attached_wait_seconds or offers.LONGEST_WAIT_SECONDS)
    return Wait(parts, owner, task_id, most)


async def _result(parts: Parts, owner: str, arguments: Mapping[str, Any]) -> ToolResult | Delivered:
    task = await _found(parts, owner, arguments)
    return _ended(task) if task.is_terminal else {**_open(parts, task), "isError": True}


async def _cancel(parts: Parts, owner: str, arguments: Mapping[str, Any]) -> ToolResult:
    before = await _found(parts, owner, arguments)
    task = await parts.service.cancel(owner, before.id)
    had_ended = "There is nothing to stop. " if before.is_terminal else ""
    return said(had_ended + in_words(task), as_structured(task))


async def _list(parts: Parts, owner: str, arguments: Mapping[str, Any]) -> ToolResult:
    try:
        after = read_cursor(arguments["cursor"]) if "cursor" in arguments else None
    except ValueError:
        return said("The cursor is not one that task_list has returned. List from the start.", is_error=True)
    page = await parts.service.list(owner, after, TASKS_PER_PAGE)
    tasks = [parts.waiting.explained(task) for task in page.tasks]
    lines = [in_words(task) for task in tasks] or ["There are no tasks."]
    structured: dict[str, Any] = {"tasks": [as_structured(task) for task in tasks]}
    if page.next is not None:
        structured["nextCursor"] = page.next.as_cursor()
        lines.append(f"There are more: call task_list with the cursor {structured['nextCursor']}")
    return said("\n".join(lines), structured)


async def _found(parts: Parts, owner: str, arguments: Mapping[str, Any]) -> Task:
    """Only tasks that were handed out: of any other one nobody should know the id."""
    task = await parts.service.get(owner, arguments["taskId"])
    if task.origin.door is not Door.HANDLE:
        raise TaskNotFound(task.id)
    return task


def _open(parts: Parts, task: Task) -> ToolResult:
    task = parts.waiting.explained(task)
    return said(f"{in_words(task)} {AGAIN}", as_structured(task))


def _ended(task: Task) -> ToolResult | Delivered:
    match task.outcome_kind:
        case OutcomeKind.RESULT:
            return Delivered(task.outcome or "{}")
        case OutcomeKind.RPC_ERROR:
            return said(f"{task.name} has failed: {reason(task)}", is_error=True)
        case _:
            return said(f"{in_words(task)} It has no result.", is_error=True)


def _next_step(task: Task) -> str:
    if task.status is TaskStatus.INPUT_REQUIRED:
        return " Call task_wait, which asks the user."
    return " Call task_result for its result." if task.outcome_kind is OutcomeKind.RESULT else ""


_CARRIED_OUT: Mapping[str, Callable[[Parts, str, Mapping[str, Any]], Awaitable[Answer]]] = {
    offers.TASK_STATUS: _status,
    offers.TASK_WAIT: _wait,
    offers.TASK_RESULT: _result,
    offers.TASK_CANCEL: _cancel,
    offers.TASK_LIST: _list,
}


@lru_cache
def _validators() -> Mapping[str, jsonschema_rs.Validator]:
    return {
        tool.name: jsonschema_rs.validator_for(tool.input_schema, offline=True) for tool in offers.TASK_TOOLS
    }
