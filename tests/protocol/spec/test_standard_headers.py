"""`MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` say what the body says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.plain_http import post_bytes
from tests.protocol.spec.requests import TASKS, Request, calling, encoded
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.wire import Wire

VALIDATION = "basic/transports/streamable-http#server-validation"
STANDARD = "basic/transports/streamable-http#standard-request-headers"
ENCODING = "basic/transports/streamable-http#value-encoding"
CASE = "basic/transports/streamable-http#case-sensitivity"
ROUTING = "ext-tasks#streamable-http-routing-headers"

HEADERS = ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name")
MISMATCH = (400, -32020)
GREET = calling("greet", {"name": "Ada"})


pytestmark = ON_ONE_DATABASE  # what is proved here is decided before any is asked


@pytest.mark.spec(STANDARD)
@pytest.mark.parametrize("header", HEADERS)
async def test_a_missing_header_is_a_mismatch(wire: Wire, header: str):
    assert (await wire.send(GREET.header(header))).refusal == MISMATCH


@pytest.mark.spec(VALIDATION)
@pytest.mark.parametrize("header", HEADERS)
async def test_a_header_that_says_something_else_is_a_mismatch(wire: Wire, header: str):
    assert (await wire.send(GREET.header(header, "something/else"))).refusal == MISMATCH


@pytest.mark.spec(VALIDATION)
@pytest.mark.parametrize("header", HEADERS)
async def test_an_empty_header_is_a_mismatch(wire: Wire, header: str):
    assert (await wire.send(GREET.header(header, ""))).refusal == MISMATCH


@pytest.mark.spec(VALIDATION)
@pytest.mark.parametrize(
    ("header", "value"), [*zip(HEADERS, ("2026-07-28", "tools/call", "greet"), strict=True)]
)
async def test_a_header_that_is_there_twice_is_a_mismatch(wire: Wire, header: str, value: str):
    assert (await wire.send(GREET.header(header, value, value))).refusal == MISMATCH


@pytest.mark.spec(VALIDATION)
@pytest.mark.parametrize(("header", "value"), [("Mcp-Method", b"tools/call\xe9"), ("Mcp-Name", b"greet\xe9")])
async def test_a_header_with_invalid_characters_is_a_mismatch(wire: Wire, header: str, value: bytes):
    assert (await wire.send(GREET.header(header, value))).refusal == MISMATCH


@pytest.mark.spec(CASE)
async def test_the_names_of_headers_may_be_written_in_any_case(wire: Wire):
    shouted = Request(GREET.body, tuple((name.upper(), value) for name, value in GREET.headers))
    assert (await wire.send(shouted)).text == "Hello, Ada!"


@pytest.mark.spec(CASE)
@pytest.mark.parametrize(("header", "value"), [("Mcp-Method", "Tools/Call"), ("Mcp-Name", "Greet")])
async def test_the_values_of_headers_are_case_sensitive(wire: Wire, header: str, value: str):
    assert (await wire.send(GREET.header(header, value))).refusal == MISMATCH


@pytest.mark.spec(VALIDATION)
async def test_blanks_around_a_value_are_not_part_of_it(wire: Wire):
    padded = GREET.header("Mcp-Method", " tools/call\t ").header("Mcp-Name", "\t greet ")
    response = await post_bytes(wire.url, padded)
    assert response.status == 200
    assert b"Hello, Ada!" in response.body


@pytest.mark.spec(STANDARD)
async def test_a_method_that_names_nothing_needs_no_name_header(wire: Wire):
    assert (await wire.request("prompts/list")).status == 200


@pytest.mark.spec(STANDARD)
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "greet", "arguments": {"name": "Ada"}}),
        ("prompts/get", {"name": "review", "arguments": {"code": "1"}}),
        ("resources/read", {"uri": "spec://text"}),
    ],
)
async def test_every_method_that_names_something_needs_the_name_header(
    wire: Wire, method: str, params: dict[str, str]
):
    request = Request.of(method, params)
    assert (await wire.send(request)).status == 200
    assert (await wire.send(request.header("Mcp-Name"))).refusal == MISMATCH
    assert (await wire.send(request.header("Mcp-Name", "other"))).refusal == MISMATCH


# --- the Base64 sentinel ---------------------------------------------------------------------------------------


@pytest.mark.spec(ENCODING)
async def test_an_encoded_name_is_decoded_before_it_is_compared(wire: Wire):
    assert (await wire.send(GREET.header("Mcp-Name", encoded("greet")))).text == "Hello, Ada!"


@pytest.mark.spec(ENCODING)
@pytest.mark.parametrize("name", ["grüße", " greet ", "two\nlines", "=?base64?literal?="])
async def test_names_that_cannot_be_written_plainly_are_understood_encoded(wire: Wire, name: str):
    reply = await wire.send(calling(name).header("Mcp-Name", encoded(name)))
    assert reply.error["code"] == -32602, "the header is right; it is only the tool that is not there"


@pytest.mark.spec(ENCODING)
async def test_an_encoded_name_that_is_another_one_is_a_mismatch(wire: Wire):
    assert (await wire.send(GREET.header("Mcp-Name", encoded("great")))).refusal == MISMATCH


@pytest.mark.spec(ENCODING)
@pytest.mark.parametrize(
    "value",
    [
        "=?base64?Z3JlZXQ?=",  # no padding
        "=?base64?Z3Jl*XQ=?=",  # not of the alphabet
        "=?base64?Z3JlZXR=?=",  # bits behind the end that are not zero
        "=?base64?Z3JlZXQ==?=",  # too much padding
        "=?base64?Z3Jl ZXQ=?=",  # a blank inside
        "=?base64?/////w==?=",  # not UTF-8
        "=?BASE64?Z3JlZXQ=?=",  # the markers are case-sensitive
        "=?base64?Z3JlZXQ=",  # no end
        "=?base64??=",  # nothing
    ],
)
async def test_a_malformed_encoding_is_a_mismatch(wire: Wire, value: str):
    assert (await wire.send(GREET.header("Mcp-Name", value))).refusal == MISMATCH


@pytest.mark.spec(ENCODING)
async def test_methods_and_versions_are_never_encoded(wire: Wire):
    assert (await wire.send(GREET.header("Mcp-Method", encoded("tools/call")))).refusal == MISMATCH
    assert (await wire.send(GREET.header("MCP-Protocol-Version", encoded("2026-07-28")))).refusal == MISMATCH


# --- tasks -----------------------------------------------------------------------------------------------------


def on_task(method: str, task_id: str) -> Request:
    responses: dict[str, Any] = {"inputResponses": {}} if method == "tasks/update" else {}
    return Request.of(method, {"taskId": task_id, **responses}, TASKS)


@pytest.mark.spec(ROUTING)
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("values", [("other",), ("",), ("right", "right")], ids=str)
async def test_a_header_that_names_another_task_is_a_mismatch(
    wire: Wire, method: str, values: tuple[str, ...]
):
    task_id = await wire.create("succeed")
    request = on_task(method, task_id).header(
        "Mcp-Name", *(value.replace("right", task_id) for value in values)
    )
    assert (await wire.send(request)).refusal == MISMATCH


@pytest.mark.spec(ROUTING)
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_clients_that_leave_out_the_name_of_a_task_are_served(wire: Wire, method: str):
    """The extension obliges the client, not the server; there are clients that know no better."""
    task_id = await wire.create("succeed")
    assert (await wire.send(on_task(method, task_id).header("Mcp-Name"))).status == 200


@pytest.mark.spec(ROUTING)
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_task_may_be_named_encoded(wire: Wire, method: str):
    task_id = await wire.create("succeed")
    assert (await wire.send(on_task(method, task_id).header("Mcp-Name", encoded(task_id)))).status == 200


@pytest.mark.spec(ROUTING)
async def test_a_cancel_with_a_wrong_header_cancels_nothing(wire: Wire, notes: Notes):
    task_id = await wire.create("hold", notes.directory)
    await wire.send(on_task("tasks/cancel", task_id).header("Mcp-Name", "other"))
    await notes.seen("started")
    assert (await wire.task(task_id))["status"] == "working"
    notes.leave("go")


@pytest.mark.spec(ROUTING)
async def test_an_update_with_a_wrong_header_answers_nothing(wire: Wire):
    task_id = await wire.create("ask_the_same_twice", {}, {"elicitation": {}})
    asked = await wire.asked(task_id)
    params = {"taskId": task_id, "inputResponses": {key: {"action": "decline"} for key in asked}}
    await wire.send(Request.of("tasks/update", params, TASKS).header("Mcp-Name", "other"))
    assert (await wire.task(task_id))["inputRequests"] == asked
    await wire.cancel(task_id)


@pytest.mark.spec(VALIDATION)
async def test_headers_are_compared_before_capabilities_are_missed(wire: Wire):
    request = Request.of("tasks/get", {"taskId": "some"}).header("Mcp-Name", "other")
    assert (await wire.send(request)).refusal == MISMATCH
