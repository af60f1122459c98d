"""From a request to its result: look up, bind the arguments, call, convert."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Any, cast

from tasks_server.errors import (
    INVALID_PARAMS,
    RpcError,
    TasksError,
)
from tasks_server.placeholders import filled
from tasks_server.task import Method
from workers.daemon_thread import in_thread
from workers.definition import Complete, PromptDefinition, ResourceDefinition, ToolDefinition
from workers.errors import Declined, ResourceNotFound, TaskCancelled, ToolError
from workers.execution.calling import Surroundings, call
from workers.execution.process import call_in_process
from workers.execution.work import Work
from workers.port import TaskPort
from workers.questions import form_request
from workers.registry import Registry
from workers.result import (
    memory_exceeded,
    prompt_result,
    request_failure,
    resource_result,
    tool_failure,
    tool_result,
)
from workers.retries import as_transient
from workers.signature import Question
from workers.step import is_async

logger = logging.getLogger(__name__)

Wire = dict[str, Any]

MAX_COMPLETIONS = 100


async def perform(work: Work, registry: Registry, port: TaskPort) -> Wire:
    """The result object of the request, without `resultType`, which belongs to the protocol revision.

    A tool's own failures are results with `isError`, unless another attempt may succeed: then it raises Transient.
    Raises RpcError for protocol faults: a name that is not offered, a prompt or resource that failed, whatever
    RpcError the function raised. Cancel the awaiting task to stop the function; it gets `GRACE_SECONDS` to end.
    """
    around = Surroundings(port, registry)
    match work.method:
        case Method.CALL_TOOL:
            tool = registry.tool(work.name)
            run = call_in_process if tool.runs_in == "process" else call_here
            return await reported(tool, work, run(tool, work, around))
        case Method.GET_PROMPT:
            return await get_prompt(registry.prompt(work.name), work, around)
        case Method.READ_RESOURCE:
            definition, variables = registry.resource(work.name)
            return await read_resource(definition, variables, work, around)
        case Method.COMPLETE:
            return await complete(registry, work)


async def call_here(definition: ToolDefinition, work: Work, around: Surroundings) -> Wire:
    """The tool's CallToolResult, from this process."""
    values = work.arguments
    if definition.signature.arguments is not None:
        values = definition.signature.arguments.bind(work.arguments)
    answers = await _answers(definition, work, around.port)
    value = await call(definition, {**values, **answers}, work, around)
    return tool_result(value, definition.returns, definition.output_schema)


async def reported(definition: ToolDefinition, work: Work, run: Awaitable[Wire]) -> Wire:
    """What `run` gives; a failure of the tool as the error result that reports it. Raises RpcError, Transient."""
    try:
        return await run
    except (Exception, TaskCancelled) as error:
        cause = _innermost(error)
        if isinstance(cause, RpcError):
            raise cause from None
        if isinstance(cause, MemoryError) and definition.memory_bytes is not None:
            cause = ToolError(memory_exceeded(definition.memory_bytes))
        transient = as_transient(cause, definition.retry_on)
        if transient is not None:
            raise transient from cause
        _log_surprise(work, cause)
        return tool_failure(cause)


async def get_prompt(definition: PromptDefinition, work: Work, around: Surroundings) -> Wire:
    values = _bound(definition, work.arguments)
    try:
        return prompt_result(await call(definition, values, work, around), definition.description)
    except (Exception, TaskCancelled) as error:
        raise _as_rpc_error(error, work) from None


async def read_resource(
    definition: ResourceDefinition, variables: Mapping[str, str], work: Work, around: Surroundings
) -> Wire:
    try:
        values = _bound(definition, variables)
    except RpcError as error:
        raise ResourceNotFound(work.name) from error  # no such resource has values like these
    try:
        value = await call(definition, values, work, around)
        return resource_result(value, work.name, definition.mime_type)
    except (Exception, TaskCancelled) as error:
        raise _as_rpc_error(error, work) from None


async def complete(registry: Registry, work: Work) -> Wire:
    """A CompleteResult; an argument without completions has no suggestions."""
    ref: dict[str, Any] = work.arguments.get("ref") or {}
    argument: dict[str, Any] = work.arguments.get("argument") or {}
    context: dict[str, Any] = work.arguments.get("context") or {}
    if ref.get("type") == "ref/prompt":
        completions = registry.prompt(str(ref.get("name"))).completions
    else:
        completions = registry.resource_template(str(ref.get("uri"))).completions
    suggest = completions.get(str(argument.get("name")))
    if suggest is None:
        return {"completion": {"values": [], "total": 0, "hasMore": False}}
    try:
        values = await _suggestions(suggest, str(argument.get("value", "")), context.get("arguments") or {})
    except Exception as error:
        raise _as_rpc_error(error, work) from None
    shown = values[:MAX_COMPLETIONS]
    return {"completion": {"values": shown, "total": len(values), "hasMore": len(shown) < len(values)}}


async def _suggestions(suggest: Complete, typed: str, others: dict[str, str]) -> list[str]:
    if is_async(suggest):
        return list(await suggest(typed, others))
    return list(await in_thread(lambda: suggest(typed, others)))


async def _answers(tool: ToolDefinition, work: Work, port: TaskPort) -> dict[str, Any]:
    questions = tool.signature.questions
    messages = [filled(question.message, work.arguments, tool.input_schema) for question in questions]
    asked = zip(questions, messages, strict=True)
    answers = await asyncio.gather(*(_answer(question, text, work, port) for question, text in asked))
    return {question.parameter: answer for question, answer in zip(questions, answers, strict=True)}


async def _answer(question: Question, message: str, work: Work, port: TaskPort) -> Any:
    response = work.answers.get(question.key)
    if response is None:  # the caller could not be asked before the task existed
        request = form_request(message, question.form.schema)
        response = await port.request_input(question.key, "elicitation/create", request)
    try:
        return question.form.read(question.key, message, cast("Mapping[str, Any]", response))
    except Declined:
        if question.optional:
            return None
        raise


def _bound(definition: PromptDefinition | ResourceDefinition, arguments: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return definition.signature.arguments.bind(arguments) if definition.signature.arguments else {}
    except ToolError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None


def _as_rpc_error(error: BaseException, work: Work) -> RpcError:
    cause = _innermost(error)
    if isinstance(cause, RpcError):
        return cause
    _log_surprise(work, cause)
    return request_failure(cause)


def _log_surprise(work: Work, error: BaseException) -> None:
    """Callers read one line; the traceback of what the author did not raise on purpose is in the log."""
    if not isinstance(error, ToolError | TasksError):
        logger.error(
            "task %s: %s failed",
            work.task_id,
            _named(work),
            exc_info=error,
            extra={"task_id": work.task_id, "method": work.method, "called": work.name},
        )


def _named(work: Work) -> str:
    match work.method:
        case Method.CALL_TOOL:
            return f"the tool {work.name}"
        case Method.GET_PROMPT:
            return f"the prompt {work.name}"
        case Method.READ_RESOURCE:
            return f"the resource {work.name}"
        case Method.COMPLETE:
            return "a completion"


def _innermost(error: BaseException) -> BaseException:
    """A task group wraps even a single failure; the one inside is what the author raised."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return _innermost(group.exceptions[0]) if len(group.exceptions) == 1 else group
