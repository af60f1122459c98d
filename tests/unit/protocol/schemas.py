"""Output schemas of all kinds, each with a value that fits and one that does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

X = {"x": 1}
NO_X: dict[str, Any] = {"x": "one"}
HAS_X = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/Node"}},
    "required": ["value"],
    "additionalProperties": False,
}
CHAIN = {"value": 1, "next": {"value": 2, "next": {"value": 3}}}
BROKEN_CHAIN = {"value": 1, "next": {"value": 2, "next": {"value": "three"}}}


@dataclass(frozen=True)
class Example:
    """is_object: only objects can fit, and the schema makes that plain."""

    name: str
    schema: dict[str, Any]
    result: Any
    no_result: Any
    is_object: bool = True


MOVABLE = [
    Example("plain", HAS_X, X, NO_X),
    Example("closed", {**HAS_X, "additionalProperties": False}, X, {**X, "y": 2}),
    Example("unevaluated", {**HAS_X, "unevaluatedProperties": False}, X, {**X, "y": 2}),
    Example("reference", {"$ref": "#/$defs/X", "$defs": {"X": HAS_X}}, X, NO_X),
    Example("recursive", {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}, CHAIN, BROKEN_CHAIN),
    Example(
        "reference into a definition",
        {
            "type": "object",
            "properties": {"n": {"$ref": "#/$defs/Node/properties/value"}},
            "$defs": {"Node": NODE},
        },
        {"n": 1},
        {"n": "one"},
    ),
    Example(
        "definitions of draft 7",
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/X",
            "definitions": {"X": HAS_X},
        },
        X,
        NO_X,
    ),
    Example(
        "anchor",
        {
            "type": "object",
            "properties": {"a": {"$ref": "#some"}},
            "$defs": {"A": {"$anchor": "some", "type": "integer"}},
        },
        {"a": 1},
        {"a": "one"},
    ),
    Example("one of two", {"anyOf": [HAS_X, {"$ref": "#/$defs/Node"}], "$defs": {"Node": NODE}}, CHAIN, NO_X),
    Example("one of two, one a list", {"oneOf": [HAS_X, {"type": "array"}]}, [1], NO_X, is_object=False),
    Example(
        "list", {"type": "array", "items": {"$ref": "#/$defs/X"}, "$defs": {"X": HAS_X}}, [X], [NO_X], False
    ),
    Example("all of", {"allOf": [HAS_X]}, X, NO_X, is_object=False),
    Example("an id in an example", {**HAS_X, "examples": [{"id": "a"}]}, X, NO_X),
    Example(
        "a property named $ref",
        {"type": "object", "properties": {"$ref": {"type": "string"}, "$id": {"type": "integer"}}},
        {"$ref": "#/properties/nothing", "$id": 1},
        {"$ref": 1},
    ),
]

NOT_MOVABLE = [
    Example(
        "identified in draft 4",
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "id": "urn:example:x",
            "allOf": [{"$ref": "#/definitions/X"}],
            "definitions": {"X": HAS_X},
        },
        X,
        NO_X,
    ),
    Example(
        "reference to the root",
        {
            "type": "object",
            "properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}},
            "required": ["value"],
        },
        CHAIN,
        BROKEN_CHAIN,
    ),
    Example(
        "reference beside itself",
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}}},
        {"a": 1, "b": 2},
        {"b": "two"},
    ),
    Example(
        "identified",
        {"$id": "urn:example:x", "$ref": "#/$defs/X", "$defs": {"X": HAS_X}},
        X,
        NO_X,
    ),
    Example(
        "identified inside",
        {
            "type": "object",
            "properties": {"a": {"$ref": "urn:example:a"}},
            "$defs": {"A": {"$id": "urn:example:a", "type": "integer"}},
        },
        {"a": 1},
        {"a": "one"},
    ),
    Example(
        "dynamic",
        {
            "$dynamicAnchor": "node",
            "type": "object",
            "properties": {"value": {"type": "integer"}, "next": {"$dynamicRef": "#node"}},
        },
        CHAIN,
        BROKEN_CHAIN,
    ),
]
