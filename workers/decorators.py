"""`@tool`, `@prompt`, `@resource`: they check a function, note what it offers, and hand it back unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tasks_server.manifest import TaskSupport
from workers.declaration import (
    USUAL_TIMEOUT,
    Declaring,
    Function,
    as_annotations,
    check_input_schema,
    check_limits,
    check_publishable,
    checked_location,
    checked_max_crashes,
    checked_memory,
    checked_name,
    checked_priority,
    checked_queue,
    checked_retries,
    checked_retry_delay,
    checked_retry_on,
    checked_tool_name,
    checked_variables,
    chosen_runs_in,
    found_description,
    made_input_schema,
    mark,
    refuse_bare,
    structured_adapter,
    template_signature,
)
from workers.definition import Complete, PromptDefinition, ResourceDefinition, RunsIn, ToolDefinition
from workers.schemas import JsonSchema, refuse_bad_schema, result_schema
from workers.signature import read_signature
from workers.units import Duration, Size, milliseconds


def tool(
    name: str | None = None,
    *,
    title: str | None = None,
    description: str | None = None,
    timeout: Duration = USUAL_TIMEOUT,
    start_within: Duration = None,
    deadline: Duration = None,
    retries: int = 4,
    retry_delay: Duration = "3s",
    retry_on: Sequence[type[Exception]] = (),
    max_crashes: int = 3,
    task: TaskSupport = "optional",
    keep: Duration = "24h",
    poll_interval: Duration = "1s",
    runs_in: RunsIn | None = None,
    memory: Size = None,
    queue: str | None = None,
    priority: int = 0,
    annotations: BaseModel | Mapping[str, Any] | None = None,
    input_schema: JsonSchema | None = None,
    output_schema: JsonSchema | None = None,
) -> Callable[[Function], Function]:
    """Offer a function as a tool.

    name, description: default to the function's name and its docstring.
    timeout: of one attempt. start_within: how long the task may wait for its first start. deadline: of the whole
    task, from its call, with all attempts, waiting and questions.
    retries: how often it is started again after it raised `Transient` or one of retry_on; retry_delay: the pause
    before the first retry, doubled for each further one.
    max_crashes: how many workers a task may take down with it before it is a dead letter; 1 never starts it again.
    task: whether clients may ("optional"), must or cannot take the call as a task.
    keep: how long a finished task can be fetched. poll_interval: how often clients are told to look.
    runs_in: "event_loop" (async functions' default), "thread" (plain functions' default), or "process", which
    can be killed and, with memory="1GiB", limited.
    queue: what workers select tools by. priority: from -100 to 100; of what one client has waiting, the highest goes
    first.
    annotations: hints for clients (ToolAnnotations).
    input_schema, output_schema: published as they are instead of being made from the signature; with
    input_schema the function takes `**arguments`.

    Raises DeclarationError.
    """

    refuse_bare(name, "@tool()")

    def declare(function: Function) -> Function:
        where = checked_location(function)
        signature = read_signature(function, open_ended=input_schema is not None)
        adapter = structured_adapter(signature)
        with Declaring(where):
            schema = input_schema if input_schema is not None else made_input_schema(signature)
            check_input_schema(schema)
            check_limits(timeout, start_within, deadline)
            chosen = chosen_runs_in(runs_in, signature)
            returned = output_schema or (result_schema(adapter) if adapter else None)
            if output_schema is not None:
                refuse_bad_schema(output_schema)
            definition = ToolDefinition(
                function=function,
                signature=signature,
                name=checked_tool_name(name or function.__name__),
                title=title,
                description=found_description(description, signature),
                runs_in=chosen,
                run_timeout_ms=milliseconds(timeout),
                queue=checked_queue(queue),
                priority=checked_priority(priority),
                input_schema=schema,
                output_schema=returned,
                returns=adapter,
                annotations=as_annotations(annotations),
                task_support=task,
                retention_ms=milliseconds(keep),
                poll_interval_ms=milliseconds(poll_interval) or 1000,
                max_retries=checked_retries(retries),
                retry_delay_ms=checked_retry_delay(retry_delay),
                retry_on=checked_retry_on(retry_on),
                max_crashes=checked_max_crashes(max_crashes),
                memory_bytes=checked_memory(memory, chosen),
                start_within_ms=milliseconds(start_within),
                deadline_ms=milliseconds(deadline),
            )
            check_publishable(definition)
        return mark(function, definition)

    return declare


def prompt(
    name: str | None = None,
    *,
    title: str | None = None,
    description: str | None = None,
    timeout: Duration = "1m",
    queue: str | None = None,
    completions: Mapping[str, Complete] | None = None,
) -> Callable[[Function], Function]:
    """Offer a function as a prompt. It returns a str (what the user says), or messages.

    completions: by argument name, a function (typed so far, the other arguments) -> suggestions.
    Raises DeclarationError.
    """

    refuse_bare(name, "@prompt()")

    def declare(function: Function) -> Function:
        signature = template_signature(function, completions)
        with Declaring(signature.where):
            definition = PromptDefinition(
                function=function,
                signature=signature,
                name=checked_name(name or function.__name__),
                title=title,
                description=found_description(description, signature),
                runs_in=chosen_runs_in(None, signature),
                run_timeout_ms=milliseconds(timeout),
                queue=checked_queue(queue),
                completions=completions or {},
            )
            check_publishable(definition)
        return mark(function, definition)

    return declare


def resource(
    uri: str,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    mime_type: str | None = None,
    timeout: Duration = "1m",
    queue: str | None = None,
    completions: Mapping[str, Complete] | None = None,
) -> Callable[[Function], Function]:
    """Offer a function as the reader of a resource, or of every URI of a template like `note://{id}/text`.

    The variables are the function's parameters. It returns str, bytes, something JSON-shaped, or contents.
    completions: by variable name, a function (typed so far, the other variables) -> suggestions.
    Raises DeclarationError.
    """

    refuse_bare(uri, "@resource(uri)")

    def declare(function: Function) -> Function:
        signature = template_signature(function, completions)
        with Declaring(signature.where):
            variables = checked_variables(uri)
            parameters = signature.arguments.names if signature.arguments else ()
            if set(variables) != set(parameters):
                raise ValueError(
                    f"the variables of {uri!r} and the parameters ({', '.join(parameters)}) differ"
                )
            definition = ResourceDefinition(
                function=function,
                signature=signature,
                name=name or function.__name__,
                title=title,
                description=description or signature.docstring.description,
                runs_in=chosen_runs_in(None, signature),
                run_timeout_ms=milliseconds(timeout),
                queue=checked_queue(queue),
                uri=uri,
                variables=variables,
                mime_type=mime_type,
                completions=completions or {},
            )
            check_publishable(definition)
        return mark(function, definition)

    return declare
