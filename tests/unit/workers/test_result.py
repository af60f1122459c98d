from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    GetPromptResult,
    ImageContent,
    PromptMessage,
    ReadResourceResult,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field, TypeAdapter

from tasks_server.errors import RpcError
from workers import Artifact, Reply, ToolError
from workers.result import prompt_result, request_failure, resource_result, tool_failure, tool_result
from workers.schemas import result_schema

IMAGE = ImageContent(data="aGk=", mime_type="image/png")
IMAGE_BLOCK = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
ARTIFACT = Artifact(uri="artifact://t/a.md", name="a.md", mime_type="text/markdown", size=3, sha256="ab")
LINK = {
    "type": "resource_link",
    "uri": "artifact://t/a.md",
    "name": "a.md",
    "mimeType": "text/markdown",
    "size": 3,
    "_meta": {"sha256": "ab"},
}


class Profile(BaseModel):
    row_count: int = Field(alias="rowCount")
    ratio: float | None = None


class Converted(BaseModel):
    markdown: Artifact
    parts: list[Artifact] = []


@dataclass
class Point:
    x: int


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def unstructured(value: Any) -> dict[str, Any]:
    return tool_result(value, None, None)


def structured(value: Any, shape: Any) -> dict[str, Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(shape)
    return tool_result(value, adapter, result_schema(adapter))


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (None, []),
        ("hello", [text("hello")]),
        (42, [text("42")]),
        (True, [text("true")]),
        ([1, 2], [text("[1,2]")]),
        ([], []),
        ([{"a": 1}, "x"], [text('[{"a":1},"x"]')]),
        (ARTIFACT, [LINK]),
        (IMAGE, [IMAGE_BLOCK]),
        (["see", IMAGE, ARTIFACT], [text("see"), IMAGE_BLOCK, LINK]),
        (("a", "b"), [text("a"), text("b")]),
        (
            EmbeddedResource(resource=TextResourceContents(uri="x://y", text="t")),
            [{"type": "resource", "resource": {"uri": "x://y", "text": "t"}}],
        ),
    ],
)
def test_what_is_returned_becomes_content(value: Any, content: list[Any]) -> None:
    assert unstructured(value) == {"content": content, "isError": False}


@pytest.mark.parametrize(
    ("value", "object_"), [({"a": [1]}, {"a": [1]}), (Point(3), {"x": 3}), (Profile(rowCount=1), None)]
)
def test_an_object_is_structured_even_without_an_annotation(value: Any, object_: Any) -> None:
    expected = object_ or {"rowCount": 1, "ratio": None}
    result = unstructured(value)
    assert result["structuredContent"] == expected
    assert [json.loads(block["text"]) for block in result["content"]] == [expected]


def test_a_structured_result_has_its_json_as_text_and_links_to_its_artifacts() -> None:
    other = ARTIFACT.model_copy(update={"uri": "artifact://t/b"})
    result = structured(Converted(markdown=ARTIFACT, parts=[other, ARTIFACT]), Converted)
    assert [block["type"] for block in result["content"]] == ["text", "resource_link", "resource_link"]
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    assert result["structuredContent"]["markdown"] == ARTIFACT.model_dump()


def test_a_dict_is_read_as_the_promised_model() -> None:
    assert structured({"rowCount": "5"}, Profile)["structuredContent"] == {"rowCount": 5, "ratio": None}


def test_a_value_that_breaks_the_promise_is_an_error() -> None:
    with pytest.raises(ToolError, match=r"something else than it promises\. rowCount: Field required"):
        structured({"rows": 5}, Profile)


def test_a_changed_model_that_no_longer_fits_its_schema_is_an_error() -> None:
    profile = Profile(rowCount=1)
    profile.ratio = float("nan")  # has no JSON; it becomes null, which the schema allows
    assert structured(profile, Profile)["structuredContent"]["ratio"] is None
    with pytest.raises(ToolError, match="does not fit its output schema: at ratio"):
        tool_result(
            profile, None, {"type": "object", "properties": {"ratio": {"type": "number"}}, "required": []}
        )


def test_a_written_output_schema_makes_any_value_structured() -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert tool_result([1, 2], None, schema)["structuredContent"] == [1, 2]
    with pytest.raises(ToolError, match="at 1: "):
        tool_result([1, "2"], None, schema)


def test_a_reply_adds_content_before_the_json() -> None:
    result = structured(Reply(Profile(rowCount=1), IMAGE, ARTIFACT), Profile)
    assert result["content"] == [IMAGE_BLOCK, LINK, text('{"rowCount":1,"ratio":null}')]
    assert result["structuredContent"] == {"rowCount": 1, "ratio": None}


def test_text_in_a_reply_stands_for_the_json_and_links_are_not_repeated() -> None:
    result = structured(Reply(Converted(markdown=ARTIFACT), "Converted.", ARTIFACT), Converted)
    assert result["content"] == [text("Converted."), LINK]


def test_a_whole_result_passes_as_it_is() -> None:
    own = CallToolResult(
        content=[TextContent(text="bad", _meta={"k": 1})], structured_content={"a": None}, is_error=True
    )
    assert tool_result(own, None, {"type": "array"}) == {
        "content": [{"type": "text", "text": "bad", "_meta": {"k": 1}}],
        "structuredContent": {"a": None},
        "isError": True,
    }


def test_a_whole_result_must_keep_the_promised_schema_too() -> None:
    own = CallToolResult(content=[], structured_content={"a": "x"})
    with pytest.raises(ToolError, match="at a: "):
        tool_result(own, None, {"type": "object", "properties": {"a": {"type": "integer"}}})


def test_bytes_are_refused_with_advice() -> None:
    with pytest.raises(ToolError, match="it should return an artifact"):
        unstructured(b"raw")


def test_a_block_of_a_derived_class_is_still_a_block() -> None:
    class Stamped(TextContent):
        pass

    assert unstructured(Stamped(text="x"))["content"] == [text("x")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ToolError("no such page"), "no such page"),
        (ValueError("bad number"), "ValueError: bad number"),
        (KeyError("k"), "KeyError: 'k'"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_a_failure_is_told_in_one_line(error: Exception, said: str) -> None:
    assert tool_failure(error) == {"content": [text(said)], "isError": True}


def test_a_failed_prompt_or_resource_is_an_internal_error() -> None:
    error = request_failure(ValueError("broken"))
    assert isinstance(error, RpcError)
    assert (error.code, error.message) == (-32603, "ValueError: broken")


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ("say", [{"role": "user", "content": text("say")}]),
        (IMAGE, [{"role": "user", "content": IMAGE_BLOCK}]),
        (
            ["ask", PromptMessage(role="assistant", content=TextContent(text="reply"))],
            [{"role": "user", "content": text("ask")}, {"role": "assistant", "content": text("reply")}],
        ),
    ],
)
def test_what_a_prompt_returns_becomes_messages(value: Any, messages: list[Any]) -> None:
    assert prompt_result(value, "About.") == {"description": "About.", "messages": messages}


def test_a_whole_prompt_result_passes_as_it_is() -> None:
    own = GetPromptResult(messages=[PromptMessage(role="user", content=TextContent(text="x"))])
    assert prompt_result(own, "About.") == {"messages": [{"role": "user", "content": text("x")}]}


@pytest.mark.parametrize(
    ("value", "mime_type", "contents"),
    [
        ("t", None, {"uri": "x://y", "mimeType": "text/plain", "text": "t"}),
        ("<p>", "text/html", {"uri": "x://y", "mimeType": "text/html", "text": "<p>"}),
        (b"hi", "image/png", {"uri": "x://y", "mimeType": "image/png", "blob": "aGk="}),
        ([{"a": 1}], None, {"uri": "x://y", "mimeType": "application/json", "text": '[{"a":1}]'}),
        (BlobResourceContents(uri="x://z", blob="aGk="), "a/b", {"uri": "x://z", "blob": "aGk="}),
    ],
)
def test_what_a_resource_returns_becomes_contents(
    value: Any, mime_type: str | None, contents: dict[str, Any]
) -> None:
    assert resource_result(value, "x://y", mime_type) == {"contents": [contents]}


def test_a_resource_may_return_several_contents() -> None:
    several = [TextResourceContents(uri="x://1", text="a"), TextResourceContents(uri="x://2", text="b")]
    expected = [{"uri": "x://1", "text": "a"}, {"uri": "x://2", "text": "b"}]
    assert resource_result(several, "x://y", None) == {"contents": expected}
    whole = ReadResourceResult(contents=[*several], ttl_ms=1)
    assert resource_result(whole, "x://y", None) == {"contents": expected}
