"""Values as content blocks (server/tools, "Tool Result").

Blocks of the official wire types are recognised by where their class comes from, so that a tool that uses
none does not load them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter

from workers.artifact import Artifact
from workers.errors import ToolError

Wire = dict[str, Any]

_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


def content_blocks(value: Any) -> list[Wire]:
    """str, Artifact and blocks one by one or in a list; anything else as JSON text."""
    if value is None:
        return []
    if isinstance(value, str):
        return [text_block(value)]
    if isinstance(value, Artifact):
        return [link_to(value)]
    if is_wire(value):
        return [dumped(value)]
    if isinstance(value, bytes):
        raise ToolError("The tool returned bytes; it should return an artifact, or an image or audio block.")
    parts = parts_of(value)
    if all(isinstance(part, str | Artifact) or is_wire(part) for part in parts):
        return [block for part in parts for block in content_blocks(part)]
    return [text_block(as_json(value))]


def text_block(text: str) -> Wire:
    return {"type": "text", "text": text}


def links_in(value: Any) -> Iterator[Wire]:
    """A `resource_link` for every artifact somewhere inside a structured value."""
    if isinstance(value, Artifact):
        yield link_to(value)
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
        yield from links_in(part)


def without_repeated_links(blocks: list[Wire]) -> list[Wire]:
    """An artifact may stand both in the structured value and in the content."""
    distinct: list[Wire] = []
    for block in blocks:
        if block["type"] != "resource_link" or block not in distinct:
            distinct.append(block)
    return distinct


def parts_of(value: Any) -> Sequence[Any]:
    """The items of a list or tuple; anything else is one part."""
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else [value]


def as_json(value: Any) -> str:
    return _ANYTHING.dump_json(value, by_alias=True).decode()


def is_wire_class(kind: type[Any], name: str | None = None) -> bool:
    """Whether this is one of the official wire types (the one of that name), or derives from it."""
    return any(
        base.__module__.partition(".")[0] == "mcp_types" and name in (None, base.__name__)
        for base in kind.__mro__
    )


def is_wire(value: Any, name: str | None = None) -> bool:
    return is_wire_class(cast("type[Any]", type(value)), name)


def dumped(value: BaseModel) -> Wire:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def link_to(artifact: Artifact) -> Wire:
    """A `resource_link`, with the checksum beside it."""
    return {
        "type": "resource_link",
        "uri": artifact.uri,
        "name": artifact.name,
        "mimeType": artifact.mime_type,
        "size": artifact.size,
        "_meta": {"sha256": artifact.sha256},
    }
