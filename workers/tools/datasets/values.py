"""From the engine's types to JSON, without losing digits and without failing on what JSON lacks."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_TEXT = 500
"""Characters of one value that are shown; longer ones end in an ellipsis."""

MAX_BYTES = 60
MAX_TYPE = 120
MAX_EXACT = 2**53

_NUMBERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
    "FLOAT",
    "DOUBLE",
    "BOOLEAN",
}
_NESTED = ("STRUCT(", "MAP(", "UNION(", "TUPLE(", "JSON", "VARIANT")


def is_nested(kind: str) -> bool:
    """Whether values of this DuckDB type are lists, objects or JSON."""
    return kind.endswith("]") or kind.startswith(_NESTED)


def short_type(kind: str) -> str:
    """A type to show: an object's can name thousands of fields."""
    return kind if len(kind) <= MAX_TYPE else kind[:MAX_TYPE] + "…"


def selectable(expression: str, kind: str) -> str:
    """An SQL expression whose values `as_json` understands. Numbers stay numbers, the rest becomes text."""
    if kind in _NUMBERS:
        return expression
    if kind == "BLOB":
        return (
            f"to_base64({expression}[:{MAX_BYTES}]) || "
            f"CASE WHEN octet_length({expression}) > {MAX_BYTES} THEN '…' ELSE '' END"
        )
    if is_nested(kind):
        return f"left(CAST(to_json({expression}) AS VARCHAR), {MAX_TEXT + 1})"
    return f"left(CAST({expression} AS VARCHAR), {MAX_TEXT + 1})"


def as_json(value: Any, kind: str) -> Any:
    """What `selectable` gave, as a JSON value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _not_finite(value)
    text = str(value)
    if len(text) > MAX_TEXT:
        return text[:MAX_TEXT] + "…"
    if kind.startswith("DECIMAL"):
        return _decimal(text)
    if is_nested(kind):
        return _parsed(text)
    return text


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _decimal(text: str) -> float | int | str:
    digits = text.lstrip("-").replace(".", "").lstrip("0")
    if len(digits) > 15:
        return text
    return float(text) if "." in text else int(text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=str, parse_int=_exact_int)
    except ValueError:
        return text


def _exact_int(digits: str) -> int | str:
    number = int(digits)
    return number if abs(number) <= MAX_EXACT else digits
