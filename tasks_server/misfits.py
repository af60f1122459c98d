"""What is wrong with a value, by its JSON Schema, in sentences for a person or a model."""

from __future__ import annotations

from itertools import islice
from typing import Any

import jsonschema_rs

MAX_CHARACTERS = 500


def misfits(validator: jsonschema_rs.Validator, value: Any, *, at_most: int) -> list[str]:
    """Short sentences that name the field; nothing if the value is valid."""
    return [_sentence(error) for error in islice(validator.iter_errors(value), at_most)]


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    where = ".".join(str(step) for step in error.instance_path)
    text = f"{where}: {error.message}" if where else error.message
    if len(text) <= MAX_CHARACTERS:
        return text
    # The validator repeats the whole value, however long, before it says what is wrong with it.
    half = MAX_CHARACTERS // 2
    return f"{text[:half]} … {text[-half:]}"
