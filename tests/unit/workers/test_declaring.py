"""What a decorated function offers, and what is refused."""

# Parameters only describe themselves here.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal

import pytest
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from tasks_server.manifest import PromptOffer, ResourceOffer, ResourceTemplateOffer, ToolOffer
from workers import (
    Artifact,
    AskFirst,
    DeclarationError,
    Reply,
    SyncTaskContext,
    TaskContext,
    ToolError,
    prompt,
    resource,
    tool,
)
from workers.definition import ATTRIBUTE, PromptDefinition, ResourceDefinition, ToolDefinition


class Confirm(BaseModel):
    confirm: bool


class Nested(BaseModel):
    inner: Confirm


class Profile(BaseModel):
    rows: int
    name: str | None = None


@dataclass
class Point:
    x: int


class Named(TypedDict):
    name: str


def offered_tool(function: Callable[..., Any]) -> ToolOffer:
    definition: ToolDefinition = getattr(function, ATTRIBUTE)
    return definition.offer("q")


def offered_prompt(function: Callable[..., Any]) -> PromptOffer:
    definition: PromptDefinition = getattr(function, ATTRIBUTE)
    return definition.offer("q")


def offered_resource(function: Callable[..., Any]) -> ResourceOffer | ResourceTemplateOffer:
    definition: ResourceDefinition = getattr(function, ATTRIBUTE)
    return definition.offer("q")


def test_the_signature_and_the_docstring_describe_a_tool() -> None:
    @tool()
    async def convert(ctx: TaskContext, source: str, pages: list[int] | None = None) -> str:
        """Convert a document.

        It keeps headings.

        Args:
            source: where the document
                lies
            pages: which pages

        Returns:
            Markdown
        """
        return source

    offer = offered_tool(convert)
    assert (offer.name, offer.description) == ("convert", "Convert a document.\n\nIt keeps headings.")
    assert offer.input_schema == {
        "type": "object",
        "properties": {
            "source": {"type": "string", "description": "where the document lies"},
            "pages": {
                "anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}],
                "default": None,
                "description": "which pages",
            },
        },
        "required": ["source"],
        "additionalProperties": False,
    }
    assert offer.output_schema is None


def test_policies_are_published_in_milliseconds() -> None:
    @tool(
        "a.name",
        title="Title",
        description="Said here.",
        timeout="2h",
        retries=1,
        max_crashes=1,
        task="required",
        keep=None,
        start_within="10m",
        deadline="2h",
        poll_interval="5s",
        annotations=ToolAnnotations(read_only_hint=True),
    )
    async def anything() -> None: ...

    assert offered_tool(anything) == ToolOffer(
        name="a.name",
        title="Title",
        description="Said here.",
        input_schema={"type": "object", "properties": {}, "additionalProperties": False},
        annotations={"readOnlyHint": True},
        task_support="required",
        queue="q",
        run_timeout_ms=7_200_000,
        retention_ms=None,
        poll_interval_ms=5000,
        max_retries=1,
        max_crashes=1,
        start_within_ms=600_000,
        deadline_ms=7_200_000,
    )


def test_a_description_in_the_annotation_goes_before_the_docstring() -> None:
    @tool()
    async def look(path: Annotated[str, Field(description="annotated", max_length=5)]) -> None:
        """Look.

        :param path: from the docstring
        """

    assert offered_tool(look).input_schema["properties"]["path"] == {
        "type": "string",
        "description": "annotated",
        "maxLength": 5,
    }


def test_a_parameter_may_have_a_name_that_pydantic_uses_itself() -> None:
    @tool()
    async def odd(schema: str, copy: int = 1, _private: bool = False, model_config: str = "") -> None:
        """Odd."""

    properties = offered_tool(odd).input_schema["properties"]
    assert list(properties) == ["schema", "copy", "_private", "model_config"]


@pytest.mark.parametrize("returns", [Profile, Point, Named, dict[str, int], Reply[Profile]])
def test_an_object_in_the_return_annotation_gives_an_output_schema(returns: Any) -> None:
    async def give() -> Any:
        """Give."""

    give.__annotations__["return"] = returns
    schema = offered_tool(tool()(give)).output_schema
    assert schema is not None
    assert schema["type"] == "object"


@pytest.mark.parametrize(
    "returns",
    [str, None, bytes, TextContent, list[TextContent], CallToolResult, Artifact, Any, int, Profile | None],
)
def test_other_return_annotations_give_none(returns: Any) -> None:
    async def give() -> Any:
        """Give."""

    give.__annotations__["return"] = returns
    assert offered_tool(tool()(give)).output_schema is None


def test_schemas_written_out_are_published_word_for_word() -> None:
    input_schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "here", "type": "object"}},
        "properties": {"address": {"$ref": "#/$defs/address"}},
        "allOf": [{"anyOf": [{"required": ["address"]}]}],
        "if": {"required": ["address"]},
        "then": {"required": ["address"]},
    }
    output_schema = {"type": "array", "items": {"type": "integer"}}

    @tool(input_schema=input_schema, output_schema=output_schema)
    async def raw(**arguments: Any) -> list[int]:
        """Raw."""
        return []

    assert offered_tool(raw).input_schema == input_schema
    assert offered_tool(raw).output_schema == output_schema


def test_a_header_annotation_reaches_the_schema() -> None:
    @tool()
    async def query(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> None:
        """Query."""

    assert offered_tool(query).input_schema["properties"]["region"]["x-mcp-header"] == "Region"


def test_a_question_asked_first_is_published_beside_the_arguments() -> None:
    @tool()
    async def delete(
        filename: str,
        sure: Annotated[Confirm, AskFirst("Really delete {filename}?")],
        reason: Annotated[Confirm | None, AskFirst("Why?", key="why")],
    ) -> None:
        """Delete."""

    offer = offered_tool(delete)
    assert list(offer.input_schema["properties"]) == ["filename"]
    sure, reason = offer.questions
    assert (sure.key, sure.message, sure.optional) == ("sure", "Really delete {filename}?", False)
    assert sure.requested_schema == {
        "type": "object",
        "properties": {"confirm": {"type": "boolean", "title": "Confirm"}},
        "required": ["confirm"],
    }
    assert (reason.key, reason.optional) == ("why", True)


def test_the_decorated_function_is_still_the_function() -> None:
    @tool()
    def double(number: int) -> int:
        """Double."""
        return 2 * number

    assert double(4) == 8


def test_a_prompt_publishes_its_arguments() -> None:
    @prompt(completions={"style": lambda typed, others: [typed]})
    async def poem(topic: str, style: Literal["haiku", "ode"] = "ode") -> str:
        """A poem.

        Args:
            topic: about what
        """
        return topic

    offer = offered_prompt(poem)
    topic, style = offer.arguments
    assert (topic.name, topic.description, topic.required, topic.completes) == (
        "topic",
        "about what",
        True,
        False,
    )
    assert (style.name, style.required, style.completes) == ("style", False, True)
    assert offer.run_timeout_ms == 60_000


def test_a_uri_with_variables_is_a_template() -> None:
    @resource("note://all", mime_type="text/plain")
    async def every_note() -> str:
        return ""

    @resource("note://{year}/{name}", name="note", completions={"year": lambda typed, others: []})
    async def one_note(year: str, name: str) -> str:
        return ""

    fixed, template = offered_resource(every_note), offered_resource(one_note)
    assert isinstance(fixed, ResourceOffer)
    assert (fixed.uri, fixed.name, fixed.mime_type) == ("note://all", "every_note", "text/plain")
    assert isinstance(template, ResourceTemplateOffer)
    assert template.uri_template == "note://{year}/{name}"
    assert [(argument.name, argument.completes) for argument in template.arguments] == [
        ("year", True),
        ("name", False),
    ]


# --- refusals ---------------------------------------------------------------------------------------------


async def undocumented(name: str) -> None: ...
async def unannotated(name) -> None:  # type: ignore[no-untyped-def]  # pyright: ignore
    """."""


async def variadic(*names: str) -> None:
    """."""


async def open_ended(**arguments: Any) -> None:
    """."""


async def positional(name: str, /) -> None:
    """."""


async def blocking_context(ctx: SyncTaskContext) -> None:
    """."""


def awaiting_context(ctx: TaskContext) -> None:
    """."""


async def late_context(name: str, ctx: TaskContext) -> None:
    """."""


async def unresolvable(name: Missing) -> None:  # noqa: F821  # pyright: ignore
    """."""


async def shapeless(stream: Callable[[], int]) -> None:
    """."""


class Opaque: ...


async def opaque(thing: Opaque) -> None:
    """."""


async def opaque_result() -> dict[str, Opaque]:
    """."""
    return {}


async def nested_question(answer: Annotated[Nested, AskFirst("?")]) -> None:
    """."""


async def unmodelled_question(answer: Annotated[str, AskFirst("?")]) -> None:
    """."""


async def unknown_placeholder(name: str, answer: Annotated[Confirm, AskFirst("{nme}?")]) -> None:
    """."""


async def same_key(
    a: Annotated[Confirm, AskFirst("?", key="k")], b: Annotated[Confirm, AskFirst("?", key="k")]
) -> None:
    """."""


async def bad_header(region: Annotated[float, Field(json_schema_extra={"x-mcp-header": "R"})]) -> None:
    """."""


async def fine() -> None:
    """."""


def plain() -> None:
    """."""


async def bare_context(ctx, name: str) -> None:  # type: ignore[no-untyped-def]  # pyright: ignore
    """."""


def bare_blocking_context(context, name: str) -> None:  # type: ignore[no-untyped-def]  # pyright: ignore
    """."""


async def bare_open_context(ctx, **arguments: Any) -> None:  # type: ignore[no-untyped-def]  # pyright: ignore
    """."""


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (undocumented, {}, "needs a docstring"),
    (fine, {"retries": -1}, "retries=-1 cannot be; write how often .* 0 for never"),
    (fine, {"retry_delay": None}, "retry_delay=None cannot be; write a duration like '3s'"),
    (fine, {"retry_delay": "soon"}, "'soon' is not a duration"),
    (
        fine,
        {"retry_on": ("ConnectionError",)},
        "retry_on holds 'ConnectionError'; write classes of exceptions",
    ),
    (fine, {"retry_on": (KeyboardInterrupt,)}, "retry_on holds <class 'KeyboardInterrupt'>; write classes"),
    (
        fine,
        {"retry_on": (ToolError,)},
        "retry_on holds ToolError, which is an answer .* raise Transient instead",
    ),
    (fine, {"max_crashes": 0}, "max_crashes=0 cannot be; write 1 for a task that must not be started twice"),
    (
        fine,
        {"timeout": "2h", "deadline": "1h"},
        "timeout='2h' is more than deadline='1h', .* can never be reached; make it less",
    ),
    (
        fine,
        {"start_within": timedelta(hours=2), "deadline": "1h"},
        "start_within=.* is more than deadline='1h'",
    ),
    (fine, {"queue": "a b c/.."}, "'a b c/..' is not the name of a queue; use 1 to 128 of"),
    (fine, {"queue": ""}, "'' is not the name of a queue"),
    (unannotated, {}, r"'name' needs an annotation, for example `name: str`"),
    (bare_context, {}, "'ctx' has no annotation; if it is the context, write `ctx: TaskContext`"),
    (bare_blocking_context, {}, "if it is the context, write `context: SyncTaskContext`"),
    (bare_open_context, {"input_schema": {"type": "object"}}, "write `ctx: TaskContext`"),
    (variadic, {}, r"\*names has no schema"),
    (open_ended, {}, r"\*\*?arguments has no schema"),
    (positional, {}, "positional-only"),
    (blocking_context, {}, "an async function takes a TaskContext"),
    (awaiting_context, {}, "a plain function takes a SyncTaskContext"),
    (late_context, {}, "must be the first parameter"),
    (unresolvable, {}, "cannot be resolved.*Missing.*at module level"),
    (shapeless, {}, "no JSON Schema"),
    (opaque, {}, "no JSON form"),
    (opaque_result, {}, "return type has no JSON form"),
    (nested_question, {}, "'answer' cannot be asked: field 'inner' cannot be in a form"),
    (unmodelled_question, {}, "str is not a Pydantic model"),
    (unknown_placeholder, {}, r"mentions \{nme\}, which is not an argument"),
    (same_key, {}, "two questions have the same key"),
    (bad_header, {}, "x-mcp-header of region needs a plain string"),
    (fine, {"name": "has space"}, "'has space' is not a name"),
    (fine, {"name": "x" * 65}, "is not a name"),
    (fine, {"name": "task_wait"}, "'task_wait' is a tool of the server itself; give yours another name"),
    (fine, {"timeout": "soon"}, "'soon' is not a duration"),
    (fine, {"task": "sometimes"}, "task_support"),
    (fine, {"runs_in": "thread"}, "an async function runs in 'event_loop' or 'process'"),
    (plain, {"runs_in": "event_loop"}, "a plain function runs in 'thread' or 'process'"),
    (plain, {"memory": "1GiB"}, "add runs_in='process'"),
    (plain, {"runs_in": "process", "memory": "1MiB"}, "64MiB or more"),
    (plain, {"runs_in": "process", "memory": "lots"}, "'lots' is not a size"),
    (fine, {"input_schema": {"type": "object"}}, r"takes `\*\*arguments`"),
    (open_ended, {"input_schema": {"type": "array"}}, "'type': 'object' at its root"),
    (open_ended, {"input_schema": {"type": "object", "required": 1}}, "not a valid JSON Schema"),
    (fine, {"output_schema": {"type": 1}}, "not a valid JSON Schema"),
]


@pytest.mark.parametrize(("function", "options", "message"), REFUSED)
def test_a_bad_tool_is_refused_by_name(
    function: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=rf"test_declaring\.{function.__qualname__}: .*{message}"):
        tool(**options)(function)


def test_a_deadline_below_the_usual_timeout_needs_no_other_timeout() -> None:
    @tool(deadline="10m", start_within="10m")
    async def quick() -> None:
        """."""

    assert (offered_tool(quick).run_timeout_ms, offered_tool(quick).deadline_ms) == (1_800_000, 600_000)


def test_a_tool_for_a_process_stands_at_module_level() -> None:
    with pytest.raises(DeclarationError, match="at module level"):

        @tool(runs_in="process")
        def inside() -> None:
            """."""


def test_a_decorator_without_parentheses_is_refused() -> None:
    bare: Any = tool
    with pytest.raises(DeclarationError, match=r"fine: write @tool\(\), with parentheses"):
        bare(fine)


def test_a_function_is_offered_once() -> None:
    @tool()
    async def twice() -> None:
        """."""

    with pytest.raises(DeclarationError, match="offered only once"):
        tool("other")(twice)


def test_a_class_is_not_offered() -> None:
    with pytest.raises(DeclarationError, match="only functions"):
        tool()(Profile)


async def asking_prompt(answer: Annotated[Confirm, AskFirst("?")]) -> str:
    """."""
    return ""


def test_a_prompt_cannot_ask_first() -> None:
    with pytest.raises(DeclarationError, match="only tools can use AskFirst"):
        prompt()(asking_prompt)


@pytest.mark.parametrize("declare", [prompt, partial(resource, "note://{id}")])
def test_an_odd_queue_of_a_prompt_or_resource_is_refused(declare: Any) -> None:
    async def read(id: str) -> str:  # noqa: A002
        """."""
        return ""

    with pytest.raises(DeclarationError, match="read: 'a/b' is not the name of a queue"):
        declare(queue="a/b")(read)
    with pytest.raises(DeclarationError, match="read: title: Input should be a valid string"):
        declare(title=3)(read)


def test_completions_are_for_arguments_that_exist() -> None:
    with pytest.raises(DeclarationError, match="'colour', which is not a parameter"):
        prompt(completions={"colour": lambda typed, others: []})(fine)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("note://{id}/{id}", "a variable twice"),
        ("note://{+path}", "only plain variables"),
        ("note://{id", "only plain variables"),
        ("no-scheme/{id}", "begin with a scheme"),
        ("note://{other}", r"the variables .* and the parameters \(id\) differ"),
        ("note://fixed", "differ"),
    ],
)
def test_a_bad_uri_is_refused(uri: str, message: str) -> None:
    async def note(id: str) -> str:  # noqa: A002
        return ""

    with pytest.raises(DeclarationError, match=message):
        resource(uri)(note)
