"""What a function returned or raised, as the result object of its request (server/tools, prompts, resources).

Content blocks of the official wire types are recognised by where their class comes from, so that a tool that
uses none does not load them.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from tasks_server.errors import RpcError, TasksError
from workers.arguments import in_words
from workers.artifact import Artifact
from workers.errors import INTERNAL_ERROR, TaskCancelled, ToolError
from workers.schemas import JsonSchema, violation

logger = logging.getLogger(__name__)

Structured = TypeVar("Structured")
Wire = dict[str, Any]

_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


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
    origin = get_origin(plain) or plain
    if not isinstance(origin, type) or issubclass(origin, Artifact) or _is_wire_class(origin):
        return None
    shaped = issubclass(origin, BaseModel | Mapping) or dataclasses.is_dataclass(origin)
    return returns if shaped or typing.is_typeddict(origin) else None


def tool_result(value: Any, returns: TypeAdapter[Any] | None, output_schema: JsonSchema | None) -> Wire:
    """A CallToolResult. Raises ToolError when the value does not fit the output schema."""
    if _is_wire(value, "CallToolResult"):
        result = _dumped(value)
        result.pop("resultType", None)
        _check(result.get("structuredContent"), output_schema)
        return result
    if isinstance(value, Reply):
        reply = cast("Reply[Any]", value)
        result = _structured_result(reply.structured, returns, output_schema)
        blocks = [block for part in reply.content for block in _content(part)]
        if any(block["type"] == "text" for block in blocks):
            result["content"] = []
        result["content"] = _distinct([*blocks, *result["content"]])
        return result
    if output_schema is not None or _is_structured(value):
        return _structured_result(value, returns, output_schema)
    return {"content": _content(value), "isError": False}


def tool_failure(error: BaseException) -> Wire:
    """A CallToolResult that tells the model what went wrong; the traceback stays in the worker's log."""
    if not isinstance(error, ToolError | TasksError):
        logger.error("a tool failed", exc_info=error)
    return {"content": [_text(failure_text(error))], "isError": True}


def failure_text(error: BaseException) -> str:
    if isinstance(error, ToolError | TasksError):
        return str(error)
    if isinstance(error, TaskCancelled):
        return "The tool stopped as if it had been cancelled."
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def request_failure(error: BaseException) -> RpcError:
    """The JSON-RPC error for a prompt or resource that failed; these have no error results."""
    if not isinstance(error, ToolError | TasksError):
        logger.error("a prompt or resource failed", exc_info=error)
    return RpcError(INTERNAL_ERROR, failure_text(error))


def prompt_result(value: Any, description: str) -> Wire:
    """A GetPromptResult: a str is what the user says, a content block likewise."""
    if _is_wire(value, "GetPromptResult"):
        result = _dumped(value)
        result.pop("resultType", None)
        return result
    parts = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else [value]
    messages = [message for part in parts for message in _messages(part)]
    return {"description": description, "messages": messages}


def resource_result(value: Any, uri: str, mime_type: str | None) -> Wire:
    """A ReadResourceResult: str is text, bytes are a blob, other values JSON."""
    if _is_wire(value, "ReadResourceResult"):
        return {"contents": _dumped(value)["contents"]}
    several = isinstance(value, list) and any(_is_wire(part) for part in cast("list[Any]", value))
    parts = cast("list[Any]", value) if several else [value]
    return {"contents": [_resource_contents(part, uri, mime_type) for part in parts]}


def _structured_result(
    value: Any, returns: TypeAdapter[Any] | None, output_schema: JsonSchema | None
) -> Wire:
    text = _as_json(value, returns)
    structured = json.loads(text)
    _check(structured, output_schema)
    links = [_link(artifact) for artifact in _artifacts_in(value)]
    return {"content": _distinct([_text(text), *links]), "structuredContent": structured, "isError": False}


def _as_json(value: Any, returns: TypeAdapter[Any] | None) -> str:
    adapter = returns or _ANYTHING
    try:
        return adapter.dump_json(adapter.validate_python(value), by_alias=True).decode()
    except ValidationError as error:
        raise ToolError(f"The tool returned something else than it promises. {in_words(error)}") from error


def _check(structured: Any, output_schema: JsonSchema | None) -> None:
    reason = None if output_schema is None else violation(output_schema, structured)
    if reason is not None:
        raise ToolError(f"The tool's result does not fit its output schema: {reason}")


def _content(value: Any) -> list[Wire]:
    if value is None:
        return []
    if isinstance(value, str):
        return [_text(value)]
    if isinstance(value, Artifact):
        return [_link(value)]
    if _is_wire(value):
        return [_dumped(value)]
    if isinstance(value, bytes):
        raise ToolError(
            "The tool returned bytes; it should return ctx.artifact(...) or an image or audio block."
        )
    if isinstance(value, list | tuple):
        parts = cast("Sequence[Any]", value)
        if all(isinstance(part, str | Artifact) or _is_wire(part) for part in parts):
            return [block for part in parts for block in _content(part)]
    return [_text(_as_json(value, None))]


def _messages(part: Any) -> Iterator[Wire]:
    if _is_wire(part, "PromptMessage"):
        yield _dumped(part)
        return
    for block in _content(part):
        yield {"role": "user", "content": block}


def _resource_contents(part: Any, uri: str, mime_type: str | None) -> Wire:
    if _is_wire(part):
        return _dumped(part)
    if isinstance(part, bytes):
        blob = base64.b64encode(part).decode()
        return {"uri": uri, "mimeType": mime_type or "application/octet-stream", "blob": blob}
    if isinstance(part, str):
        return {"uri": uri, "mimeType": mime_type or "text/plain", "text": part}
    return {"uri": uri, "mimeType": mime_type or "application/json", "text": _as_json(part, None)}


def _is_structured(value: Any) -> bool:
    if isinstance(value, Artifact) or _is_wire(value):
        return False
    return isinstance(value, BaseModel | Mapping) or dataclasses.is_dataclass(value)


def _artifacts_in(value: Any) -> Iterator[Artifact]:
    if isinstance(value, Artifact):
        yield value
        return
    parts: Any = ()
    if isinstance(value, BaseModel):
        parts = [part for _, part in value]
    elif isinstance(value, Mapping):
        parts = cast("Mapping[Any, Any]", value).values()
    elif isinstance(value, list | tuple):
        parts = cast("Sequence[Any]", value)
    elif dataclasses.is_dataclass(value):
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
    for part in parts:
        yield from _artifacts_in(part)


def _text(text: str) -> Wire:
    return {"type": "text", "text": text}


def _link(artifact: Artifact) -> Wire:
    return {
        "type": "resource_link",
        "uri": artifact.uri,
        "name": artifact.name,
        "mimeType": artifact.mime_type,
        "size": artifact.size,
    }


def _distinct(blocks: list[Wire]) -> list[Wire]:
    """Without a second link to the same file: one may stand both in the structure and in the content."""
    seen: list[Wire] = []
    for block in blocks:
        if block["type"] != "resource_link" or block not in seen:
            seen.append(block)
    return seen


def _is_wire_class(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "mcp_types"


def _is_wire(value: Any, name: str | None = None) -> bool:
    kind = cast("type[Any]", type(value))
    return _is_wire_class(kind) and name in (None, kind.__name__)


def _dumped(value: BaseModel) -> Wire:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)
