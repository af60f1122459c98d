"""JSON Schemas made from Python types, and checking JSON against them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

JsonSchema = dict[str, Any]


class _WithoutFieldTitles(GenerateJsonSchema):
    """Titles made up from parameter names tell a model nothing and are sent with every tool list."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def arguments_schema(model: type[BaseModel]) -> JsonSchema:
    """The `inputSchema` of a tool whose arguments `model` holds."""
    schema = model.model_json_schema(schema_generator=_WithoutFieldTitles)
    schema.pop("title", None)
    return {"type": "object", "properties": {}, **schema}


def result_schema(adapter: TypeAdapter[Any]) -> JsonSchema:
    """The `outputSchema` of a tool that returns what `adapter` describes."""
    return adapter.json_schema(mode="serialization", schema_generator=_WithoutFieldTitles)


def violation(schema: JsonSchema, value: Any) -> str | None:
    """How `value` breaks `schema` first, with its place; None when it fits."""
    # Loaded on first use: a tool's subprocess often ends without needing it, and starts quicker.
    import jsonschema_rs

    error = next(jsonschema_rs.validator_for(schema).iter_errors(value), None)
    if error is None:
        return None
    place = "/".join(str(part) for part in error.instance_path)
    return f"at {place}: {error.message}" if place else error.message


def refuse_bad_schema(schema: JsonSchema) -> None:
    """Raise ValueError unless `schema` is a valid JSON Schema (2020-12 unless it says otherwise)."""
    import jsonschema_rs

    try:
        jsonschema_rs.validator_for(schema)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise ValueError(f"not a valid JSON Schema: {error}") from error
