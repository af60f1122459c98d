"""The output schema of a tool whose call may be answered with its task: its own results, or a task that goes on.

The original moves one level down, so only such references may stay as they are that do not depend on where they
stand: those into its definitions, which stay at the root, and those to anchors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

STILL_RUNNING: dict[str, Any] = {
    "type": "object",
    "description": "Instead of the result when it takes long: the task in which the work goes on. Call task_wait.",
    "properties": {
        "taskId": {"type": "string"},
        "status": {"type": "string", "enum": ["working", "input_required"]},
    },
    "required": ["taskId", "status"],
}

_STAYS_AT_ROOT = ("$schema", "$defs", "definitions")
_MOVES_FREELY = re.compile(r"#(/(\$defs|definitions)/.+|[A-Za-z_][A-Za-z0-9_.-]*)")
# What resolves references against another base, or by the path that validation takes.
_DEPENDS_ON_ITS_PLACE = ("$id", "$dynamicRef", "$recursiveRef", "$recursiveAnchor")
_IN_DRAFT_4 = (*_DEPENDS_ON_ITS_PLACE, "id")
_MOST_REFERENCES = 20


def or_still_running(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema that also takes `STILL_RUNNING`; None for one that cannot be moved."""
    if not _can_be_moved(schema):
        return None
    original = {name: value for name, value in schema.items() if name not in _STAYS_AT_ROOT}
    widened: dict[str, Any] = {name: schema[name] for name in _STAYS_AT_ROOT if name in schema}
    if _is_object(schema, schema):
        widened["type"] = "object"
    return {**widened, "anyOf": [original, STILL_RUNNING]}


def _can_be_moved(schema: dict[str, Any]) -> bool:
    keywords = _IN_DRAFT_4 if "draft-04" in str(schema.get("$schema")) else _DEPENDS_ON_ITS_PLACE
    for part in _objects(schema):
        if any(isinstance(part.get(name), str | bool) for name in keywords):
            return False
        reference = part.get("$ref")
        if isinstance(reference, str) and not _MOVES_FREELY.fullmatch(reference):
            return False
    return True


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in it, those that are no schemas included: what merely looks like a reference counts as one."""
    if isinstance(value, dict):
        yield (part := cast("dict[str, Any]", value))
        for child in part.values():
            yield from _objects(child)
    elif isinstance(value, list):
        for child in cast("list[Any]", value):
            yield from _objects(child)


def _is_object(schema: Any, root: Mapping[str, Any], depth: int = 0) -> bool:
    """Whether it surely takes objects only. Revision 2025-11-25 wants the root of an output schema to say so."""
    if not isinstance(schema, dict) or depth > _MOST_REFERENCES:
        return False
    part = cast("dict[str, Any]", schema)
    if part.get("type") == "object":
        return True
    if isinstance(reference := part.get("$ref"), str):
        return _is_object(_definition(reference, root), root, depth + 1)
    for every in ("anyOf", "oneOf"):
        if isinstance(branches := part.get(every), list) and branches:
            return all(_is_object(branch, root, depth + 1) for branch in cast("list[Any]", branches))
    return False


def _definition(reference: str, root: Mapping[str, Any]) -> Any:
    match reference.split("/"):
        case ["#", ("$defs" | "definitions") as where, name]:
            return cast("Mapping[str, Any]", root.get(where, {})).get(name)
        case _:
            return None
