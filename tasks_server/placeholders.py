"""Messages with `{argument}` in them, which stand for what a tool is called with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def placeholders(message: str) -> list[str]:
    return _PLACEHOLDER.findall(message)


def filled(message: str, arguments: Mapping[str, Any], input_schema: Mapping[str, Any]) -> str:
    """`message` with each `{argument}` replaced by its value: the given one, else the schema's default.

    Somebody who is asked to confirm must see what is confirmed, also where the caller has left it out.
    """
    values = {**_defaults(input_schema), **arguments}
    return _PLACEHOLDER.sub(lambda match: str(values.get(match[1], match[0])), message)


def _defaults(input_schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = input_schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {
        name: cast("dict[str, Any]", declared)["default"]
        for name, declared in cast("dict[str, Any]", properties).items()
        if isinstance(declared, dict) and "default" in declared
    }
