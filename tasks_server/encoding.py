"""JSON to and from bytes and text, in one place and one library."""

from __future__ import annotations

from typing import Any

import orjson


def encode_json(value: Any) -> bytes:
    return orjson.dumps(value)


def encode_text(value: Any) -> str:
    """For columns of the record: SQL text, not bytes."""
    return orjson.dumps(value).decode()


def decode_json(data: bytes | str) -> Any:
    return orjson.loads(data)
