"""`@tool`, `@prompt` and `@resource`: they check a function, note what it offers, and hand it back unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from tasks_server.manifest import TaskSupport
from workers.definition import (
    ATTRIBUTE,
    Complete,
    Definition,
    PromptDefinition,
    ResourceDefinition,
    RunsIn,
    ToolDefinition,
    template_variables,
)
from workers.errors import DeclarationError
from workers.headers import refuse_bad_headers
from workers.result import structured_type
from workers.schemas import JsonSchema, arguments_schema, refuse_bad_schema, result_schema
from workers.signature import Signature, location, read_signature, refuse
from workers.units import Duration, Size, milliseconds, size_in_bytes

Function = TypeVar("Function", bound=Callable[..., Any])

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def tool(
    name: str | None = None,
    *,
    title: str | None = None,
    description: str | None = None,
    timeout: Duration = "30m",
    retries: int = 3,
    task: TaskSupport = "optional",
    keep: Duration = "24h",
    poll_interval: Duration = "1s",
    runs_in: RunsIn | None = None,
    memory: Size = None,
    queue: str | None = None,
    annotations: BaseModel | Mapping[str, Any] | None = None,
    input_schema: JsonSchema | None = None,
    output_schema: JsonSchema | None = None,
) -> Callable[[Function], Function]:
    """Offer a function as a tool.

    name, description: default to the function's name and its docstring.
    timeout: of one attempt. retries: how often an attempt that died with its worker is started again.
    task: whether clients may ("optional"), must or cannot take the call as a task.
    keep: how long a finished task can be fetched. poll_interval: how often clients are told to look.
    runs_in: "event_loop" (async functions' default), "thread" (plain functions' default), or "process", which
    can be killed and, with memory="1GiB", limited.
    queue: what workers select tools by.
    annotations: hints for clients (ToolAnnotations).
    input_schema, output_schema: published as they are instead of being made from the signature; with
    input_schema the function takes `**arguments`.

    Raises DeclarationError.
    """

    def declare(function: Function) -> Function:
        where = _checked(function, "@tool()")
        signature = read_signature(function, open_ended=input_schema is not None)
        adapter = _structured(signature)
        with _Refusing(where):
            schema = input_schema if input_schema is not None else _input_schema(signature)
            _check_input_schema(schema)
            returned = output_schema or (result_schema(adapter) if adapter else None)
            if output_schema is not None:
                refuse_bad_schema(output_schema)
            definition = ToolDefinition(
                function=function,
                signature=signature,
                name=_name(name or function.__name__),
                title=title,
                description=_description(description, signature),
                runs_in=_runs_in(runs_in, signature, memory),
                run_timeout_ms=milliseconds(timeout),
                queue=queue,
                input_schema=schema,
                output_schema=returned,
                returns=adapter,
                annotations=_annotations(annotations),
                task_support=task,
                retention_ms=milliseconds(keep),
                poll_interval_ms=milliseconds(poll_interval) or 1000,
                max_retries=retries,
                memory_bytes=size_in_bytes(memory),
            )
            definition.offer("default")  # the published model has the last word on every field
        return _mark(function, definition)

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

    def declare(function: Function) -> Function:
        where = _checked(function, "@prompt()")
        signature = read_signature(function)
        with _Refusing(where):
            _refuse_questions(signature)
            _check_completions(completions, signature)
            definition = PromptDefinition(
                function=function,
                signature=signature,
                name=_name(name or function.__name__),
                title=title,
                description=_description(description, signature),
                runs_in=_runs_in(None, signature, None),
                run_timeout_ms=milliseconds(timeout),
                queue=queue,
                completions=completions or {},
            )
        return _mark(function, definition)

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

    def declare(function: Function) -> Function:
        where = _checked(function, "@resource(uri)")
        signature = read_signature(function)
        with _Refusing(where):
            _refuse_questions(signature)
            _check_completions(completions, signature)
            variables = template_variables(uri)
            parameters = signature.arguments.names if signature.arguments else ()
            if set(variables) != set(parameters):
                raise ValueError(
                    f"the variables of {uri!r} and the parameters ({', '.join(parameters)}) differ"
                )
            if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", uri):
                raise ValueError(f"{uri!r} is not a URI; begin with a scheme, like 'note://{uri}'")
            definition = ResourceDefinition(
                function=function,
                signature=signature,
                name=name or function.__name__,
                title=title,
                description=description or signature.docstring.description,
                runs_in=_runs_in(None, signature, None),
                run_timeout_ms=milliseconds(timeout),
                queue=queue,
                uri=uri,
                variables=variables,
                mime_type=mime_type,
                completions=completions or {},
            )
        return _mark(function, definition)

    return declare


class _Refusing:
    """Turns what went wrong inside into a DeclarationError that names the function."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            message = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
            raise DeclarationError(f"{self._where}: {message}") from error
        if isinstance(error, ValueError):
            raise DeclarationError(f"{self._where}: {error}") from error


def _checked(function: Any, usage: str) -> str:
    if not callable(function) or not hasattr(function, "__qualname__") or isinstance(function, type):
        raise DeclarationError(f"{usage} decorates a function, with parentheses; it was given {function!r}")
    return location(function)


def _mark(function: Function, definition: Definition) -> Function:
    if hasattr(function, ATTRIBUTE):
        refuse(
            definition.signature.where, "a function can be offered only once; write another one that calls it"
        )
    setattr(function, ATTRIBUTE, definition)
    return function


def _structured(signature: Signature) -> TypeAdapter[Any] | None:
    shape = structured_type(signature.returns)
    try:
        return None if shape is None else TypeAdapter(shape)
    except PydanticUserError as error:
        refuse(signature.where, f"its return type has no JSON form: {error.message.splitlines()[0]}")


def _input_schema(signature: Signature) -> JsonSchema:
    if signature.arguments is None:
        raise ValueError("it has no arguments to describe")
    try:
        return arguments_schema(signature.arguments.model)
    except PydanticUserError as error:
        raise ValueError(f"a parameter's type has no JSON Schema: {error.message.splitlines()[0]}") from error


def _check_input_schema(schema: JsonSchema) -> None:
    if schema.get("type") != "object":
        raise ValueError("input_schema needs 'type': 'object' at its root")
    refuse_bad_schema(schema)
    refuse_bad_headers(schema)


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name; use 1 to 64 of A-Z a-z 0-9 _ . -")
    return name


def _description(description: str | None, signature: Signature) -> str:
    text = description or signature.docstring.description
    if not text:
        raise ValueError("it needs a docstring (or description=): callers choose by what it says")
    return text


def _runs_in(runs_in: RunsIn | None, signature: Signature, memory: Size) -> RunsIn:
    usual: RunsIn = "event_loop" if signature.is_async else "thread"
    chosen: RunsIn = runs_in or usual
    if chosen not in (usual, "process"):
        kind = "an async" if signature.is_async else "a plain"
        raise ValueError(f"{kind} function runs in {usual!r} or 'process', not {chosen!r}")
    if chosen == "process" and "<locals>" in signature.where:
        raise ValueError("runs_in='process' needs a function at module level, which a new process can import")
    if memory is not None and chosen != "process":
        raise ValueError("memory= limits a process; add runs_in='process'")
    return chosen


def _annotations(annotations: BaseModel | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if isinstance(annotations, BaseModel):
        return annotations.model_dump(mode="json", by_alias=True, exclude_none=True)
    return None if annotations is None else dict(annotations)


def _refuse_questions(signature: Signature) -> None:
    if signature.questions:
        raise ValueError("only tools can use AskFirst; call `await ctx.ask(...)` in the function instead")


def _check_completions(completions: Mapping[str, Complete] | None, signature: Signature) -> None:
    known = signature.arguments.names if signature.arguments else ()
    for name in completions or {}:
        if name not in known:
            raise ValueError(f"completions name {name!r}, which is not a parameter")
