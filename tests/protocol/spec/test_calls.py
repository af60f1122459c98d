"""`tools/call`, `prompts/get`, `resources/read`, `completion/complete`: results and their errors."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.protocol.spec.requests import TASKS, Request, calling, encoded
from tests.protocol.spec.stack import ON_ONE_DATABASE, Stack
from tests.protocol.spec.wire import Wire

CALLING = "server/tools#calling-tools"
ERRORS = "server/tools#error-handling"
STRUCTURED = "server/tools#structured-content"
PROMPTS = "server/prompts#error-handling"
RESOURCES = "server/resources#error-handling"
READING = "server/resources#reading-resources"
COMPLETION = "server/utilities/completion#requesting-completions"

INVALID = -32602


# --- tools/call ------------------------------------------------------------------------------------------------


@pytest.mark.spec(CALLING)
async def test_a_call_returns_content(wire: Wire):
    reply = await wire.call("greet", {"name": "Ada"})
    assert reply.status == 200
    assert reply.result["resultType"] == "complete"
    assert reply.result["content"] == [{"type": "text", "text": "Hello, Ada!"}]
    assert not reply.result.get("isError", False)


@pytest.mark.spec(CALLING)
async def test_arguments_may_be_left_out(wire: Wire):
    assert (await wire.send(calling("no_arguments").params(arguments=...))).text == "nothing taken"


@pytest.mark.spec(CALLING)
async def test_text_arrives_as_it_was_sent(wire: Wire):
    name = 'Ünï ☃ 😀 \u2028 \x00 "\\ end'
    assert (await wire.call("greet", {"name": name})).text == f"Hello, {name}!"


@pytest.mark.spec(STRUCTURED)
async def test_structured_content_comes_with_its_text(wire: Wire):
    result = (await wire.call("middle", {"a": {"x": 0, "y": 0}, "b": {"x": 4, "y": 8}})).result
    assert result["structuredContent"] == {"x": 2, "y": 4}
    assert json.loads(result["content"][0]["text"]) == {"x": 2, "y": 4}


@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("capabilities", [{}, TASKS], ids=["plain", "tasks"])
async def test_an_unknown_tool_is_a_protocol_error(wire: Wire, capabilities: dict[str, Any]):
    reply = await wire.call("no_such_tool", {}, capabilities)
    assert reply.error["code"] == INVALID
    assert "no_such_tool" in reply.error["message"]


@ON_ONE_DATABASE
@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("arguments", [[], "text", 5, None])
async def test_arguments_that_are_no_object_are_a_protocol_error(wire: Wire, arguments: Any):
    assert (await wire.send(calling("greet").params(arguments=arguments))).error["code"] == INVALID


@pytest.mark.spec(ERRORS)
async def test_a_name_that_is_no_string_is_a_client_error(wire: Wire):
    reply = await wire.send(calling("greet", {"name": "Ada"}).params(name=5))
    assert reply.status == 400
    assert reply.error["code"] in (INVALID, -32020)


@ON_ONE_DATABASE
@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "name"),
        ({"name": 5}, "name"),
        ({"name": "Ada", "times": 0}, "times"),
        ({"name": "Ada", "times": "two"}, "times"),
        ({"name": "Ada", "surname": "Lovelace"}, "surname"),
    ],
    ids=str,
)
async def test_invalid_arguments_are_a_result_that_names_the_field(
    wire: Wire, arguments: dict[str, Any], field: str
):
    reply = await wire.call("greet", arguments)
    assert reply.status == 200
    assert reply.result["isError"] is True
    assert field in reply.text


@pytest.mark.spec(ERRORS)
async def test_a_nested_invalid_argument_is_named_by_its_path(wire: Wire):
    reply = await wire.call("middle", {"a": {"x": 0, "y": "low"}, "b": {"x": 4, "y": 8}})
    assert reply.result["isError"] is True
    assert "a" in reply.text
    assert "y" in reply.text


@pytest.mark.spec(ERRORS)
async def test_conditions_of_the_schema_hold_too(wire: Wire):
    reply = await wire.send(calling("route", {"urgent": True}).header("Mcp-Param-Urgent", "true"))
    assert reply.result["isError"] is True
    assert "priority" in reply.text


@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("tool", ["succeed", "only_as_task"])
async def test_invalid_arguments_create_no_task(wire: Wire, stack: Stack, tool: str):
    before = await stack.execute("SELECT count(*) FROM task")
    reply = await wire.call(tool, {"nonsense": 5}, TASKS)
    assert reply.result["resultType"] == "complete"
    assert reply.result["isError"] is True
    assert await stack.execute("SELECT count(*) FROM task") == before


@pytest.mark.spec(ERRORS)
async def test_an_error_of_the_tool_is_a_result(wire: Wire):
    reply = await wire.call("fail")
    assert reply.status == 200
    assert reply.result["isError"] is True
    assert reply.text == "The printer is on fire."


@pytest.mark.spec(ERRORS)
async def test_a_protocol_error_of_the_tool_arrives_unchanged(wire: Wire):
    reply = await wire.call("fault")
    expected = {"code": -31000, "message": "The ledger is closed.", "data": {"until": "Monday"}}
    assert reply.error == expected


# --- prompts/get -----------------------------------------------------------------------------------------------


@pytest.mark.spec("server/prompts#getting-a-prompt")
async def test_a_prompt_is_filled_with_its_arguments(wire: Wire):
    reply = await wire.request("prompts/get", {"name": "review", "arguments": {"code": "1+1"}})
    assert reply.result["messages"] == [
        {"role": "user", "content": {"type": "text", "text": "Review this python: 1+1"}}
    ]


@ON_ONE_DATABASE
@pytest.mark.spec(PROMPTS)
@pytest.mark.parametrize(
    "params",
    [
        {"name": "no_such_prompt"},
        {"name": "review"},
        {"name": "review", "arguments": {}},
        {"name": "review", "arguments": {"code": 5}},
        {"name": "review", "arguments": []},
    ],
    ids=str,
)
async def test_a_prompt_that_cannot_be_had_is_invalid_params(wire: Wire, params: dict[str, Any]):
    assert (await wire.request("prompts/get", params)).error["code"] == INVALID


# --- resources/read --------------------------------------------------------------------------------------------


@pytest.mark.spec(READING)
async def test_a_text_is_read(wire: Wire):
    result = (await wire.request("resources/read", {"uri": "spec://text"})).result
    assert result["contents"] == [{"uri": "spec://text", "mimeType": "text/plain", "text": "It rains."}]


@pytest.mark.spec(READING)
async def test_bytes_are_read_in_base64(wire: Wire):
    (contents,) = (await wire.request("resources/read", {"uri": "spec://bytes"})).result["contents"]
    assert base64.b64decode(contents["blob"]) == b"\x00\xff"
    assert "text" not in contents


@pytest.mark.spec("server/resources#resource-templates")
async def test_a_template_is_read_under_the_uri_that_was_asked_for(wire: Wire):
    (contents,) = (await wire.request("resources/read", {"uri": "spec://note/friday"})).result["contents"]
    assert contents["uri"] == "spec://note/friday"
    assert contents["text"] == "It rained on friday."


@pytest.mark.spec(RESOURCES)
@pytest.mark.parametrize(
    "uri", ["spec://nowhere", "spec://note/never", "file:///etc/passwd", "no uri", "artifact://x/%00"]
)
async def test_a_resource_that_does_not_exist_is_invalid_params_with_its_uri(wire: Wire, uri: str):
    reply = await wire.request("resources/read", {"uri": uri})
    assert reply.error["code"] == INVALID
    assert reply.error["data"] == {"uri": uri}


@pytest.mark.spec(RESOURCES)
async def test_a_uri_that_no_database_could_hold_does_not_exist(wire: Wire):
    uri = "spec://note/a\0b"
    request = Request.of("resources/read", {"uri": uri}).header("Mcp-Name", encoded(uri))
    reply = await wire.send(request)
    assert reply.error["code"] == INVALID
    assert reply.error["data"] == {"uri": uri}


# --- completion/complete ---------------------------------------------------------------------------------------


async def completed(
    wire: Wire, argument: str, typed: str, ref: dict[str, Any], **context: str
) -> dict[str, Any]:
    params: dict[str, Any] = {"ref": ref, "argument": {"name": argument, "value": typed}}
    if context:
        params["context"] = {"arguments": context}
    return (await wire.request("completion/complete", params)).result["completion"]


REVIEW = {"type": "ref/prompt", "name": "review"}
ANY = {"name": "language", "value": ""}


@pytest.mark.spec("server/utilities/completion#completion-results")
async def test_at_most_a_hundred_values_are_suggested(wire: Wire):
    completion = await completed(wire, "language", "py", REVIEW)
    assert completion["values"] == [f"py{number}" for number in range(100)]
    assert completion["hasMore"] is True


@pytest.mark.spec(COMPLETION)
async def test_arguments_that_are_resolved_already_are_taken_into_account(wire: Wire):
    assert (await completed(wire, "language", "", REVIEW, code="1+1"))["values"] == ["1+1"]


@pytest.mark.spec(COMPLETION)
async def test_variables_of_a_template_are_completed(wire: Wire):
    ref = {"type": "ref/resource", "uri": "spec://note/{day}"}
    assert (await completed(wire, "day", "mon", ref))["values"] == ["monday"]


@pytest.mark.spec(COMPLETION)
async def test_an_argument_without_suggestions_has_none(wire: Wire):
    assert (await completed(wire, "code", "", REVIEW))["values"] == []


@ON_ONE_DATABASE
@pytest.mark.spec("server/utilities/completion#error-handling")
@pytest.mark.parametrize(
    "params",
    [
        {"ref": {"type": "ref/prompt", "name": "none"}, "argument": {"name": "language", "value": ""}},
        {"ref": {"type": "ref/resource", "uri": "spec://none/{x}"}, "argument": {"name": "x", "value": ""}},
        {"ref": {"type": "ref/other"}, "argument": {"name": "x", "value": ""}},
        {"ref": REVIEW, "argument": {"name": "language"}},
        {"ref": REVIEW, "argument": ANY, "context": []},
        {"ref": REVIEW, "argument": ANY, "context": {"arguments": ["x"]}},
        {"ref": REVIEW, "argument": ANY, "context": {"arguments": {"code": 5}}},
        {"ref": REVIEW},
        {},
    ],
    ids=str,
)
async def test_a_completion_of_nothing_is_invalid_params(wire: Wire, params: dict[str, Any]):
    assert (await wire.request("completion/complete", params)).error["code"] == INVALID
