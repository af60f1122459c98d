"""Choices with a title for people and a value for the program, in a question's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Choices:
    """`color: Annotated[str, Choices({"#f00": "Red", "#0f0": "Green"})]`; on `list[str]`, several may be chosen.

    Without titles, `Literal["red", "green"]` or a `StrEnum` does.
    """

    def __init__(self, titles: Mapping[str, str]) -> None:
        self._titles = dict(titles)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        options = [{"const": value, "title": title} for value, title in self._titles.items()]
        published = handler(schema)
        if published.get("type") == "array":
            return {**published, "items": {"anyOf": options}}
        return {**published, "oneOf": options}

    def _check(self, chosen: str | list[str]) -> str | list[str]:
        for value in [chosen] if isinstance(chosen, str) else chosen:
            if value not in self._titles:
                raise ValueError(f"{value!r} is not one of {', '.join(self._titles)}")
        return chosen
