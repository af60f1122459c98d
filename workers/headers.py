"""The rules for `x-mcp-header` in a tool's input schema (server/tools, "x-mcp-header").

A client must drop a whole tool whose annotations break them, so they are checked where the tool is declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

KEYWORD = "x-mcp-header"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PRIMITIVES = ("string", "integer", "boolean")
_NAMED_SUBSCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_DATA = ("default", "const", "enum", "examples")


def refuse_bad_headers(schema: dict[str, Any]) -> None:
    """Raise ValueError for the first annotation that breaks a rule."""
    reachable = list(_along_properties(schema, ""))
    names: set[str] = set()
    for place, subschema in reachable:
        name = subschema[KEYWORD]
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"{KEYWORD} of {place} is {name!r}; write an HTTP header token like 'Region'")
        if name.lower() in names:
            raise ValueError(f"{KEYWORD} {name!r} of {place} is used twice; header names ignore case")
        if subschema.get("type") not in _PRIMITIVES:
            raise ValueError(
                f"{KEYWORD} of {place} needs a plain string, integer or boolean parameter; annotate it as "
                "str, int or bool (without None or enum classes)"
            )
        names.add(name.lower())
    if len(reachable) < _count(schema):
        raise ValueError(
            f"{KEYWORD} may stand only on properties of the arguments, not inside lists or unions"
        )


def _along_properties(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(schema, dict):
        return
    node = cast("dict[str, Any]", schema)
    if path and KEYWORD in node:
        yield path, node
    properties: Any = node.get("properties")
    if isinstance(properties, dict):
        for name, subschema in cast("dict[str, Any]", properties).items():
            yield from _along_properties(subschema, f"{path}.{name}" if path else name)


def _count(schema: Any) -> int:
    if isinstance(schema, list):
        return sum(_count(item) for item in cast("list[Any]", schema))
    if not isinstance(schema, dict):
        return 0
    node = cast("dict[str, Any]", schema)
    found = int(KEYWORD in node)
    for keyword, value in node.items():
        if keyword in _NAMED_SUBSCHEMAS and isinstance(value, dict):
            found += sum(_count(subschema) for subschema in cast("dict[str, Any]", value).values())
        elif keyword not in _DATA:
            found += _count(value)
    return found
