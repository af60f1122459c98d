"""What a function returned or raised, as the result object of its request (server/tools, prompts, resources)."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Generic, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from tasks_server.errors import (
    INTERNAL_ERROR,
    RpcError,
    TasksError,
)
from workers.arguments import in_words
from workers.artifact import Artifact
from workers.content import (
    Wire,
    as_json,
    content_blocks,
    dumped,
    is_wire,
    is_wire_class,
    links_in,
    parts_of,
    text_block,
    without_repeated_links,
)
from workers.errors import TaskCancelled, ToolError
from workers.schemas import JsonSchema, violation
from workers.units import size_in_words

Structured = TypeVar("Structured")


class Reply(Generic[Structured]):
    """A structured result together with content for people: `return Reply(profile, chart, artifact)`.

    Annotate the function `-> Reply[Profile]`. A str among the content replaces the JSON text that otherwise
    stands for the structured result.
    """

    def __init__(self, structured: Structured, *content: Any) -> None:
        self.structured = structured
        self.content = content


def structured_type(returns: Any) -> Any:
    """The part of a return annotation that gives an output schema; None when there is none."""
    if get_origin(returns) is Reply:
        return structured_type(get_args(returns)[0])
    plain = get_args(returns)[0] if get_origin(returns) is Annotated else returns
    origin: Any = get_origin(plain) or plain
    if not isinstance(origin, type):
        return None
    kind = cast("type[Any]", origin)
    if issubclass(kind, Artifact) or is_wire_class(kind):
        return None
    # A TypedDict is a dict, and so a Mapping.
    return returns if dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel | Mapping) else None


def tool_result(value: Any, returns: TypeAdapter[Any] | None, output_schema: JsonSchema | None) -> Wire:
    """A CallToolResult. Raises ToolError when the value does not fit the output schema."""
    if is_wire(value, "CallToolResult"):
        return _own_result(value, output_schema)
    if isinstance(value, Reply):
        reply = cast("Reply[Any]", value)
        return _with_content(_structured_result(reply.structured, returns, output_schema), reply.content)
    if output_schema is not None or _is_structured(value):
        return _structured_result(value, returns, output_schema)
    return {"content": content_blocks(value), "isError": False}


def tool_failure(error: BaseException) -> Wire:
    """A CallToolResult that tells the model what went wrong, in a line."""
    return {"content": [text_block(failure_text(error))], "isError": True}


def request_failure(error: BaseException) -> RpcError:
    """The JSON-RPC error for a prompt or resource that failed; these have no error results."""
    return RpcError(INTERNAL_ERROR, failure_text(error))


def failure_text(error: BaseException) -> str:
    if isinstance(error, ToolError | TasksError):
        return str(error)
    if isinstance(error, TaskCancelled):
        return "The tool stopped as if it had been cancelled."
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def memory_exceeded(limit: int) -> str:
    return f"The tool exceeded its memory limit of {size_in_words(limit)}."


def prompt_result(value: Any, description: str) -> Wire:
    """A GetPromptResult: a str is what the user says, a content block likewise."""
    if is_wire(value, "GetPromptResult"):
        result = dumped(value)
        result.pop("resultType", None)
        return result
    messages = [message for part in parts_of(value) for message in _messages(part)]
    return {"description": description, "messages": messages}


def resource_result(value: Any, uri: str, mime_type: str | None) -> Wire:
    """A ReadResourceResult: str is text, bytes are a blob, other values JSON."""
    if is_wire(value, "ReadResourceResult"):
        return {"contents": dumped(value)["contents"]}
    parts = parts_of(value)
    if not any(is_wire(part) for part in parts):
        parts = [value]  # a list that is data
    return {"contents": [_resource_contents(part, uri, mime_type) for part in parts]}


def _own_result(value: Any, output_schema: JsonSchema | None) -> Wire:
    result = dumped(value)
    result.pop("resultType", None)
    if value.structured_content is not None:
        result["structuredContent"] = json.loads(as_json(value.structured_content))  # its nulls count
    if not value.is_error:
        _check(result.get("structuredContent"), output_schema)
    return result


def _structured_result(
    value: Any, returns: TypeAdapter[Any] | None, output_schema: JsonSchema | None
) -> Wire:
    text = as_json(value) if returns is None else _as_promised(value, returns)
    structured = json.loads(text)
    _check(structured, output_schema)
    content = without_repeated_links([text_block(text), *links_in(value)])
    return {"content": content, "structuredContent": structured, "isError": False}


def _with_content(result: Wire, content: tuple[Any, ...]) -> Wire:
    blocks = [block for part in content for block in content_blocks(part)]
    own = result["content"]
    if any(block["type"] == "text" for block in blocks):
        own = own[1:]
    return {**result, "content": without_repeated_links([*blocks, *own])}


def _as_promised(value: Any, returns: TypeAdapter[Any]) -> str:
    try:
        return returns.dump_json(returns.validate_python(value), by_alias=True).decode()
    except ValidationError as error:
        raise ToolError(f"The tool returned something else than it promises. {in_words(error)}") from error


def _check(structured: Any, output_schema: JsonSchema | None) -> None:
    reason = None if output_schema is None else violation(output_schema, structured)
    if reason is not None:
        raise ToolError(f"The tool's result does not fit its output schema: {reason}")


def _is_structured(value: Any) -> bool:
    if isinstance(value, Artifact) or is_wire(value):
        return False
    return isinstance(value, BaseModel | Mapping) or dataclasses.is_dataclass(value)


def _messages(part: Any) -> Iterator[Wire]:
    if is_wire(part, "PromptMessage"):
        yield dumped(part)
        return
    for block in content_blocks(part):
        yield {"role": "user", "content": block}


def _resource_contents(part: Any, uri: str, mime_type: str | None) -> Wire:
    if is_wire(part):
        return dumped(part)
    if isinstance(part, bytes):
        blob = base64.b64encode(part).decode()
        return {"uri": uri, "mimeType": mime_type or "application/octet-stream", "blob": blob}
    if isinstance(part, str):
        return {"uri": uri, "mimeType": mime_type or "text/plain", "text": part}
    return {"uri": uri, "mimeType": mime_type or "application/json", "text": as_json(part)}
