from __future__ import annotations

from datetime import date, time
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator

from tasks_server.elicitation import no_answer
from tasks_server.errors import InvalidAnswer
from workers import Choices, Declined, Unanswered
from workers.questions import Deadline, Form

FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


class Colour(StrEnum):
    """An enum class's own text must not describe the field."""

    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


TITLES = {"#f00": "Red", "#00f": "Blue"}


class Everything(BaseModel):
    name: str = Field(min_length=3, max_length=50, title="Display name", description="Who you are")
    born: date
    age: int = Field(default=30, ge=18, le=99)
    score: float = 95.5
    verified: bool = True
    nickname: str | None = None
    untitled: Literal["a", "b"] = "a"
    one: Literal["only"]
    colour: Colour = Colour.RED
    favourite: Colour | None = Field(default=None, title="Favourite")
    titled: Annotated[str, Choices(TITLES)] = "#f00"
    several: list[Literal["a", "b"]] = Field(default=["a"], min_length=1, max_length=2)
    several_titled: Annotated[list[str], Choices(TITLES)]


def test_every_kind_of_field_becomes_its_form_schema() -> None:
    options = [{"const": "#f00", "title": "Red"}, {"const": "#00f", "title": "Blue"}]
    schema = Form(Everything).schema
    assert schema["required"] == ["name", "born", "one", "several_titled"]
    assert schema["properties"] == {
        "name": {
            "type": "string",
            "title": "Display name",
            "description": "Who you are",
            "minLength": 3,
            "maxLength": 50,
        },
        "born": {"type": "string", "format": "date", "title": "Born"},
        "age": {"type": "integer", "minimum": 18, "maximum": 99, "default": 30, "title": "Age"},
        "score": {"type": "number", "default": 95.5, "title": "Score"},
        "verified": {"type": "boolean", "default": True, "title": "Verified"},
        "nickname": {"type": "string", "title": "Nickname"},
        "untitled": {"type": "string", "enum": ["a", "b"], "default": "a", "title": "Untitled"},
        "one": {"type": "string", "enum": ["only"], "title": "One"},
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "favourite": {"type": "string", "enum": ["red", "blue"], "title": "Favourite"},
        "titled": {"type": "string", "oneOf": options, "default": "#f00", "title": "Titled"},
        "several": {
            "type": "array",
            "items": {"type": "string", "enum": ["a", "b"]},
            "minItems": 1,
            "maxItems": 2,
            "default": ["a"],
            "title": "Several",
        },
        "several_titled": {"type": "array", "items": {"anyOf": options}, "title": "Several Titled"},
    }


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Everything, "its type is object"),
        (list[str], "a fixed set of choices"),
        (dict[str, str], "its type is object"),
        (str | int, "not one plain type"),
        (time, "format 'time' is not one of"),
        (Annotated[str, Field(pattern="^a")], "pattern is not allowed; check it on the answer"),
        (Annotated[int, Field(gt=0)], "exclusiveMinimum is not allowed"),
        (Level, "const|enum is not allowed"),
    ],
)
def test_a_field_that_no_form_can_hold_is_refused_by_name(annotation: Any, reason: str) -> None:
    model = type("Asked", (BaseModel,), {"__annotations__": {"odd": annotation}})
    with pytest.raises(ValueError, match=f"'odd' cannot be in a form: .*({reason})"):
        Form(model)


def test_a_schema_written_out_may_use_the_older_enum_names() -> None:
    legacy = {"type": "string", "enum": ["a"], "enumNames": ["A"]}
    schema = {"type": "object", "properties": {"choice": legacy}, "required": ["choice"]}
    form: Form[dict[str, Any]] = Form(schema)
    assert form.schema is schema
    assert form.read("k", "?", {"action": "accept", "content": {"choice": "a"}}) == {"choice": "a"}


@pytest.mark.parametrize("schema", [{}, {"type": "string"}, {"type": "object"}])
def test_a_schema_written_out_is_an_object(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs type 'object' and properties"):
        Form(schema)


class Age(BaseModel):
    age: int

    @field_validator("age")
    @classmethod
    def grown_up(cls, age: int) -> int:
        if age < 18:
            raise ValueError("too young")
        return age


def test_an_answer_becomes_the_model_whatever_else_it_holds() -> None:
    response = {"action": "accept", "content": {"age": 20, "unasked": "x"}}
    assert Form(Age).read("k", "How old?", response) == Age(age=20)


def test_an_answer_the_model_objects_to_is_invalid() -> None:
    with pytest.raises(InvalidAnswer, match="'k': age: Value error, too young"):
        Form(Age).read("k", "How old?", {"action": "accept", "content": {"age": 3}})


def test_an_answer_that_breaks_a_written_schema_is_invalid() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    form: Form[dict[str, Any]] = Form(schema)
    with pytest.raises(InvalidAnswer, match="at n: "):
        form.read("k", "?", {"action": "accept", "content": {"n": "x"}})
    assert form.read("k", "?", {"action": "accept", "content": {"n": 1, "extra": 2}})["n"] == 1


def test_a_choice_outside_the_titles_is_invalid() -> None:
    class Painted(BaseModel):
        colours: Annotated[list[str], Choices(TITLES)]

    with pytest.raises(InvalidAnswer, match="'#0f0' is not one of #f00, #00f"):
        Form(Painted).read("k", "?", {"action": "accept", "content": {"colours": ["#f00", "#0f0"]}})


@pytest.mark.parametrize(("sent", "action"), [("decline", "decline"), ("cancel", "cancel"), (None, "cancel")])
def test_anything_but_accept_declines(sent: str | None, action: str) -> None:
    with pytest.raises(Declined, match="How old") as raised:
        Form(Age).read("k", "How old?", {"action": sent})
    assert raised.value.action == action


class Who(BaseModel):
    name: str = Field(min_length=2)
    born: date | None = None


@pytest.mark.parametrize(
    "default", [Who(name="Ada", born=date(1815, 12, 10)), {"name": "Ada", "born": "1815-12-10"}]
)
def test_a_default_answers_like_a_person(default: Any):
    form = Form(Who)
    deadline = Deadline.of("2d", default, form)
    assert deadline.within_ms == 2 * 24 * 60 * 60 * 1000
    assert deadline.default == {"action": "accept", "content": {"name": "Ada", "born": "1815-12-10"}}
    assert deadline.default is not None
    assert form.read("k", "Who?", deadline.default) == Who(name="Ada", born=date(1815, 12, 10))


@pytest.mark.parametrize(
    ("form", "default"),
    [
        (Form(Who), {"name": "A"}),
        (Form(Who), {}),
        (Form(Who), Who.model_construct(name="A")),
        (Form(Who), "Ada"),
        (Form[Any](FORM), {"name": 3}),
    ],
)
def test_a_default_must_fit_the_form(form: Form[Any], default: Any):
    with pytest.raises(ValueError, match="the default does not fit the form"):
        Deadline.of("2d", default, form)


def test_a_default_needs_a_deadline():
    with pytest.raises(ValueError, match="needs within="):
        Deadline.of(None, {"name": "Ada"}, Form(FORM))


def test_nobody_answered_is_a_way_of_declining():
    with pytest.raises(Declined, match=r"Nobody answered the question within 2 d: Who\?") as raised:
        Form(Who).read("k", "Who?", no_answer(2 * 24 * 60 * 60 * 1000))
    assert isinstance(raised.value, Unanswered)
    assert raised.value.waited_ms == 2 * 24 * 60 * 60 * 1000
