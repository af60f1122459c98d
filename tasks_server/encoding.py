"""JSON to and from bytes and text, in one place and one library."""

from __future__ import annotations

from typing import Any

import orjson

LARGEST_NUMBER = 2**63 - 1


def encode_json(value: Any) -> bytes:
    return orjson.dumps(value)


def encode_text(value: Any) -> str:
    """For columns of the record: SQL text, not bytes."""
    return orjson.dumps(value).decode()


def encode_canonical(value: Any) -> bytes:
    """One encoding for equal values, to be compared or digested."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def decode_json(data: bytes | str) -> Any:
    return orjson.loads(data)


def is_storable(text: str) -> bool:
    """Whether every database can hold the text, or be asked for it: PostgreSQL refuses NUL."""
    return "\0" not in text


def storable_number(number: int) -> int:
    """The nearest number that every database can be asked for."""
    return max(-LARGEST_NUMBER, min(number, LARGEST_NUMBER))
