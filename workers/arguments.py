"""A function's own parameters as a Pydantic model: what is published about them, and what it is called with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from workers.errors import ToolError


class Arguments:
    """The parameters that a caller fills in, by name.

    Inside the model the fields are numbered and the parameter names are aliases, so that a parameter may have
    any name Python allows (`schema`, `copy`, `_private`).
    """

    def __init__(self, parameters: Mapping[str, tuple[Any, Any]], descriptions: Mapping[str, str]) -> None:
        """parameters: annotation and default by name; `inspect.Parameter.empty` as default means required."""
        self._fields = {f"argument_{number}": name for number, name in enumerate(parameters)}
        fields: dict[str, Any] = {
            field: _field(name, *parameters[name], descriptions.get(name))
            for field, name in self._fields.items()
        }
        self.model: type[BaseModel] = create_model(
            "Arguments", __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False), **fields
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._fields.values())

    def described(self, name: str) -> FieldInfo:
        """What is known about one parameter: title, description, whether it is required."""
        field = next(field for field, alias in self._fields.items() if alias == name)
        return self.model.model_fields[field]

    def bind(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments for the function. Raises ToolError that names every wrong argument."""
        try:
            values = self.model.model_validate(dict(arguments))
        except ValidationError as error:
            raise ToolError(f"Invalid arguments. {in_words(error)}") from None
        return {name: getattr(values, field) for field, name in self._fields.items()}


def in_words(error: ValidationError) -> str:
    """ "source: Field required; pages.0: Input should be a valid integer"."""
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc']) or 'value'}: {detail['msg']}"
        for detail in error.errors(include_url=False, include_context=False, include_input=False)
    )


def _field(name: str, annotation: Any, default: Any, description: str | None) -> tuple[Any, Any]:
    if isinstance(default, FieldInfo):
        annotation, default = Annotated[annotation, default], inspect.Parameter.empty
    declared = FieldInfo.from_annotation(annotation)
    settings: dict[str, Any] = {"alias": name}
    if declared.description is None and description:
        settings["description"] = description
    if default is not inspect.Parameter.empty:
        settings["default"] = default
    return annotation, Field(**settings)
