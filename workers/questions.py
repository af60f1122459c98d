"""Questions to the person behind the client: the form that is sent, and reading the answer.

A form is the restricted JSON Schema of client/elicitation ("Requested Schema"): a flat object of strings,
numbers, booleans and choices. Both `ctx.ask` and `AskFirst` go through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from tasks_server.elicitation import ELICIT, check_answer, waited_for_nothing_ms
from tasks_server.errors import InvalidAnswer
from workers.arguments import in_words
from workers.errors import Declined, Unanswered
from workers.schemas import JsonSchema, violation
from workers.units import Duration, milliseconds

Answer = TypeVar("Answer")

_TEXTS = {"title", "description", "default"}
_ALLOWED = {
    "string": _TEXTS | {"type", "minLength", "maxLength", "format", "enum", "enumNames", "oneOf"},
    "number": _TEXTS | {"type", "minimum", "maximum"},
    "integer": _TEXTS | {"type", "minimum", "maximum"},
    "boolean": _TEXTS | {"type"},
    "array": _TEXTS | {"type", "minItems", "maxItems", "items"},
}
_FORMATS = ("email", "uri", "date", "date-time")


@dataclass(frozen=True, slots=True)
class AskFirst:
    """Marks a parameter that a person fills in before the call becomes a task.

    `confirm: Annotated[Confirm, AskFirst("Really delete {filename}?")]`; braces hold names of arguments.
    `Confirm | None` makes the question optional: declined, the parameter is None. The key is the parameter's
    name unless `key` says otherwise.
    """

    message: str
    key: str | None = None


class Form(Generic[Answer]):
    """A Pydantic model, or a schema written out, that an answer must fit.

    Raises ValueError when it asks for more than a form can.
    """

    def __init__(self, shape: type[Answer] | JsonSchema) -> None:
        self._model: type[BaseModel] | None = None
        if isinstance(shape, type):
            if not issubclass(shape, BaseModel):
                # A ValueError like everything else that is wrong with a form.
                raise ValueError(f"{shape.__name__} is not a Pydantic model or a JSON Schema")  # noqa: TRY004
            self._model = shape
            self.schema = _flattened(shape.model_json_schema())
        else:
            self.schema = shape
        _refuse_unaskable(self.schema)

    def response(self, answer: object) -> dict[str, Any]:
        """The ElicitResult of a person who gives this answer. Raises ValueError when it does not fit the form."""
        content: Any = answer
        if isinstance(answer, BaseModel):
            content = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
        elif self._model is not None and isinstance(answer, Mapping):
            try:
                model = self._model.model_validate(answer)
            except ValidationError as error:
                raise ValueError(f"the default does not fit the form: {in_words(error)}") from None
            content = model.model_dump(mode="json", by_alias=True, exclude_none=True)
        response = {"action": "accept", "content": content}
        try:
            check_answer("default", {"method": ELICIT, "params": form_request("", self.schema)}, response)
        except InvalidAnswer as error:
            raise ValueError(f"the default does not fit the form: {error}") from None
        return response

    def read(self, key: str, message: str, response: Mapping[str, Any]) -> Answer:
        """The answer in an ElicitResult. Raises Declined, or InvalidAnswer when it does not fit the form."""
        accepted(message, response)
        content: dict[str, Any] = response.get("content") or {}
        if self._model is None:
            # A client may send more than it was asked for.
            lenient = {key: value for key, value in self.schema.items() if key != "additionalProperties"}
            reason = violation(lenient, content)
            if reason is not None:
                raise InvalidAnswer(key, reason)
            return cast("Answer", content)
        try:
            return cast("Answer", self._model.model_validate(content))
        except ValidationError as error:
            raise InvalidAnswer(key, in_words(error)) from None


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a question stops waiting. default: the response that it then gets; None: Unanswered is raised."""

    within_ms: int | None = None
    default: dict[str, Any] | None = None

    @classmethod
    def of(cls, within: Duration, default: object, form: Form[Any] | None = None) -> Deadline:
        """Raises ValueError when the default does not fit the form, or can never be used."""
        within_ms = milliseconds(within)
        if default is None or form is None:
            return cls(within_ms)
        if within_ms is None:
            raise ValueError("a default answer needs within=: how long to wait before it is used")
        return cls(within_ms, form.response(default))


def accepted(message: str, response: Mapping[str, Any]) -> None:
    """Raise Declined unless the person accepted, and Unanswered if there was nobody."""
    waited_ms = waited_for_nothing_ms(response)
    if waited_ms is not None:
        raise Unanswered(waited_ms, message)
    action = response.get("action")
    if action != "accept":
        raise Declined("decline" if action == "decline" else "cancel", message)


def refused(what: str, response: Mapping[str, Any]) -> None:
    """Raise Declined if the client would not give `what` at all; only elicitations have a field for that."""
    if "action" in response:
        accepted(what, response)


def form_request(message: str, schema: JsonSchema) -> dict[str, Any]:
    return {"mode": "form", "message": message, "requestedSchema": schema}


def url_request(message: str, url: str) -> dict[str, Any]:
    return {"mode": "url", "message": message, "url": url}


def _flattened(schema: JsonSchema) -> JsonSchema:
    """Pydantic's schema in the words a form knows: enum classes inlined, `X | None` just not required."""
    definitions: dict[str, Any] = schema.get("$defs", {})
    properties: dict[str, Any] = schema.get("properties", {})
    flat: JsonSchema = {
        "type": "object",
        "properties": {name: _property(definition, definitions) for name, definition in properties.items()},
    }
    if "required" in schema:
        flat["required"] = schema["required"]
    return flat


def _property(schema: JsonSchema, definitions: Mapping[str, Any]) -> JsonSchema:
    schema = dict(schema)
    if "$ref" in schema:
        definition = dict(definitions.get(str(schema.pop("$ref")).rpartition("/")[2], {}))
        for text in ("title", "description"):
            definition.pop(text, None)  # an enum class's own name and docstring, not the field's
        schema = {**definition, **schema}
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        if len(options) == 1:
            del schema["anyOf"]
            schema = {**_property(options[0], definitions), **schema}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        schema["items"] = _property(schema["items"], definitions)
        schema.pop("uniqueItems", None)
    if schema.get("default", ...) is None:
        del schema["default"]
    return schema


def _refuse_unaskable(schema: JsonSchema) -> None:
    properties: Any = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, dict):
        raise ValueError("a form's schema needs type 'object' and properties")
    for name, definition in cast("dict[str, JsonSchema]", properties).items():
        reason = _unaskable(definition)
        if reason:
            raise ValueError(
                f"field {name!r} cannot be in a form: {reason}. "
                "A form holds strings, numbers, booleans, and choices of one or several strings"
            )


def _unaskable(definition: JsonSchema) -> str | None:
    kind = definition.get("type")
    if kind not in _ALLOWED:
        return f"its type is {kind or 'not one plain type'}"
    extra = set(definition) - _ALLOWED[kind]
    if extra:
        return f"{', '.join(sorted(extra))} is not allowed; check it on the answer instead"
    if definition.get("format", "email") not in _FORMATS:
        return f"format {definition['format']!r} is not one of {', '.join(_FORMATS)}"
    if kind == "array":
        items: Any = definition.get("items")
        if not isinstance(items, dict) or not ("enum" in items or "anyOf" in items):
            return "a list needs a fixed set of choices"
    return None
