"""What must hold for a function to be offered, check by check; each refusal says what to write instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from tasks_server.errors import TasksError
from tasks_server.manifest import SERVER_TOOLS
from tasks_server.task import HIGHEST_PRIORITY, LOWEST_PRIORITY
from tasks_server.uri_template import variables_of
from workers.definition import ATTRIBUTE, Complete, Definition, RunsIn
from workers.errors import DeclarationError, ToolError
from workers.headers import refuse_bad_headers
from workers.result import structured_type
from workers.schemas import JsonSchema, arguments_schema, refuse_bad_schema
from workers.signature import Signature, location, read_signature, refuse
from workers.units import Duration, Size, milliseconds, size_in_bytes

Function = TypeVar("Function", bound=Callable[..., Any])

USUAL_TIMEOUT = "30m"
SMALLEST_MEMORY = 64 * 2**20

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_QUEUE = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class Declaring:
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


def refuse_bare(first: object, usage: str) -> None:
    if callable(first):
        raise DeclarationError(f"{getattr(first, '__qualname__', first)}: write {usage}, with parentheses")


def checked_location(function: object) -> str:
    if not inspect.isfunction(function):
        raise DeclarationError(f"only functions can be offered, not {function!r}")
    return location(function)


def mark(function: Function, definition: Definition) -> Function:
    if hasattr(function, ATTRIBUTE):
        refuse(
            definition.signature.where, "a function can be offered only once; write another one that calls it"
        )
    setattr(function, ATTRIBUTE, definition)
    return function


def structured_adapter(signature: Signature) -> TypeAdapter[Any] | None:
    shape = structured_type(signature.returns)
    try:
        return None if shape is None else TypeAdapter(shape)
    except PydanticUserError as error:
        refuse(signature.where, f"its return type has no JSON form: {error.message.splitlines()[0]}")


def made_input_schema(signature: Signature) -> JsonSchema:
    if signature.arguments is None:
        raise ValueError("it has no arguments to describe")
    try:
        return arguments_schema(signature.arguments.model)
    except PydanticUserError as error:
        raise ValueError(f"a parameter's type has no JSON Schema: {error.message.splitlines()[0]}") from error


def check_input_schema(schema: JsonSchema) -> None:
    if schema.get("type") != "object":
        raise ValueError("input_schema needs 'type': 'object' at its root")
    refuse_bad_schema(schema)
    refuse_bad_headers(schema)


def checked_variables(uri: str) -> tuple[str, ...]:
    variables = variables_of(uri)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", uri):
        raise ValueError(f"{uri!r} is not a URI; begin with a scheme, like 'note://{uri}'")
    if not uri.count("{") == uri.count("}") == len(variables):
        raise ValueError(f"{uri!r} may hold only plain variables, like 'note://{{id}}/text'")
    if len(set(variables)) < len(variables):
        raise ValueError(f"{uri!r} has a variable twice")
    return variables


def checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name; use 1 to 64 of A-Z a-z 0-9 _ . -")
    return name


def checked_tool_name(name: str) -> str:
    if name in SERVER_TOOLS:
        raise ValueError(f"{name!r} is a tool of the server itself; give yours another name")
    return checked_name(name)


def checked_queue(queue: str | None) -> str | None:
    if queue is not None and not _QUEUE.fullmatch(queue):
        raise ValueError(f"{queue!r} is not the name of a queue; use 1 to 128 of A-Z a-z 0-9 _ . -")
    return queue


def checked_priority(priority: int) -> int:
    if not LOWEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
        raise ValueError(
            f"priority={priority} cannot be; it goes from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, 0 is usual"
        )
    return priority


def checked_retries(retries: int) -> int:
    if retries < 0:
        raise ValueError(
            f"retries={retries} cannot be; write how often an attempt is started again, 0 for never"
        )
    return retries


def checked_retry_delay(delay: Duration) -> int:
    pause = milliseconds(delay)
    if pause is None:
        raise ValueError("retry_delay=None cannot be; write a duration like '3s', or retries=0 for none")
    return pause


def checked_retry_on(retry_on: Sequence[type[Exception]]) -> tuple[type[Exception], ...]:
    kinds: tuple[Any, ...] = (retry_on,) if isinstance(retry_on, type) else tuple(retry_on)
    strange: list[Any] = [
        kind for kind in kinds if not (isinstance(kind, type) and issubclass(kind, Exception))
    ]
    if strange:
        raise ValueError(
            f"retry_on holds {strange[0]!r}; write classes of exceptions, like (ConnectionError,)"
        )
    answers = [kind.__name__ for kind in kinds if issubclass(kind, ToolError | TasksError)]
    if answers:
        raise ValueError(
            f"retry_on holds {answers[0]}, which is an answer to the caller; raise Transient instead"
        )
    return kinds


def check_limits(timeout: Duration, start_within: Duration, deadline: Duration) -> None:
    """A limit that a nearer one makes meaningless is a mistake; the usual timeout is nobody's choice."""
    most = milliseconds(deadline)
    chosen = None if timeout == USUAL_TIMEOUT else timeout
    for name, limit in (("timeout", chosen), ("start_within", start_within)):
        length = milliseconds(limit)
        if most is not None and length is not None and length > most:
            raise ValueError(
                f"{name}={_written(limit)} is more than deadline={_written(deadline)}, which ends the whole task, "
                f"so it can never be reached; make it less, or the deadline more"
            )


def _written(duration: Duration) -> str:
    return repr(duration) if isinstance(duration, str) else f"'{duration}'"


def checked_max_crashes(crashes: int) -> int:
    if crashes < 1:
        raise ValueError(
            f"max_crashes={crashes} cannot be; write 1 for a task that must not be started twice"
        )
    return crashes


def found_description(description: str | None, signature: Signature) -> str:
    text = description or signature.docstring.description
    if not text:
        raise ValueError("it needs a docstring (or description=): callers choose by what it says")
    return text


def chosen_runs_in(runs_in: RunsIn | None, signature: Signature) -> RunsIn:
    usual: RunsIn = "event_loop" if signature.is_async else "thread"
    chosen: RunsIn = runs_in or usual
    if chosen not in (usual, "process"):
        kind = "an async" if signature.is_async else "a plain"
        raise ValueError(f"{kind} function runs in {usual!r} or 'process', not {chosen!r}")
    if chosen == "process" and "<locals>" in signature.where:
        raise ValueError("runs_in='process' needs a function at module level, which a new process can import")
    if chosen == "process" and signature.where.startswith("__main__."):
        raise ValueError("runs_in='process' needs a function in a module that a new process can import")
    return chosen


def checked_memory(memory: Size, runs_in: RunsIn) -> int | None:
    size = size_in_bytes(memory)
    if size is not None and runs_in != "process":
        raise ValueError("memory= limits a process; add runs_in='process'")
    if size is not None and size < SMALLEST_MEMORY:
        raise ValueError(f"memory={memory!r} is less than Python itself needs; give it 64MiB or more")
    return size


def as_annotations(annotations: BaseModel | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if isinstance(annotations, BaseModel):
        return annotations.model_dump(mode="json", by_alias=True, exclude_none=True)
    return None if annotations is None else dict(annotations)


def check_publishable(definition: Definition) -> None:
    """The published model has the last word on every field. Raises pydantic's ValidationError."""
    definition.offer(queue="any")


def template_signature(function: Callable[..., Any], completions: Mapping[str, Complete] | None) -> Signature:
    """The signature of a prompt's or resource's function. Raises DeclarationError."""
    where = checked_location(function)
    signature = read_signature(function)
    with Declaring(where):
        _refuse_questions(signature)
        _check_completions(completions, signature)
    return signature


def _refuse_questions(signature: Signature) -> None:
    if signature.questions:
        raise ValueError("only tools can use AskFirst; call `await ctx.ask(...)` in the function instead")


def _check_completions(completions: Mapping[str, Complete] | None, signature: Signature) -> None:
    known = signature.arguments.names if signature.arguments else ()
    for name in completions or {}:
        if name not in known:
            raise ValueError(f"completions name {name!r}, which is not a parameter")
