"""Tools with arguments that travel in headers too."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from workers import tool

ROUTED = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"note": {"$anchor": "aNote", "type": "string", "maxLength": 100}},
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "priority": {"type": "integer", "x-mcp-header": "Priority"},
        "urgent": {"type": "boolean", "x-mcp-header": "Urgent"},
        "target": {
            "type": "object",
            "properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}},
        },
        "remark": {"$ref": "#/$defs/note"},
    },
    "if": {"properties": {"urgent": {"const": True}}, "required": ["urgent"]},
    "then": {"required": ["priority"]},
    "additionalProperties": False,
}


@tool(task="forbidden", input_schema=ROUTED)
async def route(**arguments: Any) -> str:
    """Returns its arguments as JSON."""
    return json.dumps(arguments, sort_keys=True)


@tool(task="required")
async def route_as_task(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
) -> str:
    """Has a header argument and must be a task."""
    return region
