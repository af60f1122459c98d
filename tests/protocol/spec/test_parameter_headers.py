"""`Mcp-Param-…`: arguments that a tool's schema marks with `x-mcp-header` travel in headers too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocol.spec.plain_http import post_bytes
from tests.protocol.spec.requests import Header, Request, calling, encoded
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.wire import Reply, Wire

SCHEMA = "basic/transports/streamable-http#schema-extension"
ENCODING = "basic/transports/streamable-http#value-encoding"
BEHAVIOUR = "basic/transports/streamable-http#server-behavior-for-custom-headers"
VALIDATION = "basic/transports/streamable-http#server-validation"

MISMATCH = (400, -32020)


pytestmark = ON_ONE_DATABASE  # what is proved here is decided before any is asked


def routed(arguments: dict[str, Any], **headers: Header | tuple[Header, ...]) -> Request:
    """A call of `route`, with these `Mcp-Param-` headers."""
    request = calling("route", arguments)
    for name, value in headers.items():
        request = request.header(f"Mcp-Param-{name}", *(value if isinstance(value, tuple) else (value,)))
    return request


def arrived(reply: Reply) -> dict[str, Any]:
    """The arguments that got through to the tool."""
    return json.loads(reply.text)


@pytest.mark.spec(BEHAVIOUR)
@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "us-west1"}, {"Region": "us-west1"}),
        ({"region": ""}, {"Region": ""}),
        ({"priority": -7}, {"Priority": "-7"}),
        ({"priority": 0, "urgent": True}, {"Priority": "0", "Urgent": "true"}),
        ({"urgent": False}, {"Urgent": "false"}),
        ({"target": {"zone": "b"}}, {"Zone": "b"}),
        (
            {"region": "eu", "target": {"zone": "c"}, "priority": 3},
            {"Region": "eu", "Zone": "c", "Priority": "3"},
        ),
    ],
    ids=str,
)
async def test_a_header_that_says_what_the_argument_says_is_right(
    wire: Wire, arguments: dict[str, Any], headers: dict[str, str]
):
    assert arrived(await wire.send(routed(arguments, **headers))) == arguments


@pytest.mark.spec(BEHAVIOUR)
@pytest.mark.parametrize(
    "arguments",
    [{"region": "us-west1"}, {"priority": 0}, {"urgent": False}, {"target": {"zone": "b"}}],
    ids=str,
)
async def test_an_argument_without_its_header_is_a_mismatch(wire: Wire, arguments: dict[str, Any]):
    assert (await wire.send(routed(arguments))).refusal == MISMATCH


@pytest.mark.spec(VALIDATION)
@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "us-west1"}, {"Region": "us-west2"}),
        ({"region": "us-west1"}, {"Region": "US-WEST1"}),
        ({"region": "42"}, {"Region": "42.0"}),
        ({"priority": 42}, {"Priority": "43"}),
        ({"priority": 42}, {"Priority": "forty-two"}),
        ({"priority": 42}, {"Priority": ""}),
        ({"priority": 1}, {"Priority": "true"}),
        ({"urgent": False}, {"Urgent": "true"}),
        ({"urgent": False}, {"Urgent": "0"}),
        ({"urgent": False}, {"Urgent": "False"}),
        ({"target": {"zone": "b"}}, {"Zone": "c"}),
    ],
    ids=str,
)
async def test_a_header_that_says_something_else_is_a_mismatch(
    wire: Wire, arguments: dict[str, Any], headers: dict[str, str]
):
    assert (await wire.send(routed(arguments, **headers))).refusal == MISMATCH


@pytest.mark.spec(VALIDATION)
@pytest.mark.parametrize("value", ["42", "42.0"])
async def test_integers_are_compared_as_numbers(wire: Wire, value: str):
    assert arrived(await wire.send(routed({"priority": 42}, Priority=value))) == {"priority": 42}


@pytest.mark.spec(VALIDATION)
async def test_integers_are_compared_exactly(wire: Wire):
    largest = 2**53 - 1
    assert arrived(await wire.send(routed({"priority": largest}, Priority=str(largest))))
    assert (await wire.send(routed({"priority": largest}, Priority=str(largest - 1)))).refusal == MISMATCH


@pytest.mark.spec(VALIDATION)
@pytest.mark.parametrize("value", ["nan", "inf", "1e999999999", "4_2", "٤٢".encode()])
async def test_what_only_looks_like_a_number_is_a_mismatch(wire: Wire, value: str | bytes):
    assert (await wire.send(routed({"priority": 42}, Priority=value))).refusal == MISMATCH


@pytest.mark.spec(BEHAVIOUR)
@pytest.mark.parametrize("arguments", [{}, {"target": {}}, {"remark": "none of the others"}], ids=str)
async def test_no_header_is_expected_for_an_argument_that_is_absent(wire: Wire, arguments: dict[str, Any]):
    assert arrived(await wire.send(routed(arguments))) == arguments


@pytest.mark.spec(BEHAVIOUR)
async def test_no_header_is_expected_for_an_argument_that_is_null(wire: Wire):
    reply = await wire.send(routed({"region": None}))
    assert reply.result["isError"], "the schema wants a string, but no header was missing"


@pytest.mark.spec(BEHAVIOUR)
@pytest.mark.parametrize("arguments", [{}, {"region": None}], ids=str)
async def test_a_header_for_an_argument_that_is_not_there_is_a_mismatch(
    wire: Wire, arguments: dict[str, Any]
):
    assert (await wire.send(routed(arguments, Region="us-west1"))).refusal == MISMATCH


@pytest.mark.spec(SCHEMA)
async def test_only_the_exact_path_of_an_argument_counts(wire: Wire):
    reply = await wire.send(routed({"zone": "b"}))
    assert reply.result["isError"], "not a header that was missed, but an argument that does not exist"


@pytest.mark.spec(BEHAVIOUR)
async def test_a_parameter_header_that_the_tool_does_not_know_is_ignored(wire: Wire):
    assert arrived(await wire.send(routed({}, Unheard="of"))) == {}


@pytest.mark.spec(VALIDATION)
async def test_a_parameter_header_that_is_there_twice_is_a_mismatch(wire: Wire):
    assert (await wire.send(routed({"region": "eu"}, Region=("eu", "eu")))).refusal == MISMATCH


@pytest.mark.spec("basic/transports/streamable-http#case-sensitivity")
async def test_the_name_of_a_parameter_header_may_be_written_in_any_case(wire: Wire):
    request = routed({"region": "eu"}).header("mcp-PARAM-rEgIoN", "eu")
    assert arrived(await wire.send(request)) == {"region": "eu"}


@pytest.mark.spec(ENCODING)
@pytest.mark.parametrize(
    "value", ["us-west1", "Hello, 世界", " padded ", "line1\nline2", "=?base64?literal?=", "\x01", "😀"]
)
async def test_an_encoded_value_is_decoded_before_it_is_compared(wire: Wire, value: str):
    assert arrived(await wire.send(routed({"region": value}, Region=encoded(value)))) == {"region": value}


@pytest.mark.spec(ENCODING)
@pytest.mark.parametrize(
    "value", ["Hello", "SGVsbG8=", "=?base64?SGVsbG8=", "two words", "a,b;c=d", "~!@#$%^&*()"]
)
async def test_what_is_not_encoded_is_taken_as_it_is(wire: Wire, value: str):
    assert arrived(await wire.send(routed({"region": value}, Region=value))) == {"region": value}


@pytest.mark.spec(ENCODING)
async def test_encoded_numbers_and_booleans_are_decoded_too(wire: Wire):
    request = routed({"priority": 42, "urgent": True}, Priority=encoded("42"), Urgent=encoded("true"))
    assert arrived(await wire.send(request)) == {"priority": 42, "urgent": True}


@pytest.mark.spec(BEHAVIOUR)
@pytest.mark.parametrize(
    "header",
    [
        "=?base64?ZXU?=",
        "=?base64?Z*U=?=",
        "=?base64?ZXV=?=",
        "=?base64?/w==?=",
        "e\u00fc".encode("latin-1"),
        "eü".encode(),
    ],
)
async def test_a_value_that_cannot_be_decoded_is_a_mismatch(wire: Wire, header: Header):
    assert (await wire.send(routed({"region": "eu"}, Region=header))).refusal == MISMATCH


@pytest.mark.spec(BEHAVIOUR)
async def test_plain_utf8_is_not_taken_for_the_argument(wire: Wire):
    assert (await wire.send(routed({"region": "eü"}, Region="eü".encode()))).refusal == MISMATCH


@pytest.mark.spec(BEHAVIOUR)
async def test_control_characters_in_a_value_are_refused(wire: Wire):
    response = await post_bytes(wire.url, routed({"region": "e\x01u"}, Region=b"e\x01u"))
    assert response.status == 400


@pytest.mark.spec(VALIDATION)
async def test_parameter_headers_are_compared_before_capabilities_are_missed(wire: Wire):
    request = calling("route_as_task", {"region": "eu"}).header("Mcp-Param-Region", "us")
    assert (await wire.send(request)).refusal == MISMATCH
    matching = calling("route_as_task", {"region": "eu"}).header("Mcp-Param-Region", "eu")
    assert (await wire.send(matching)).refusal == (400, -32021)


@pytest.mark.spec(SCHEMA)
async def test_the_annotations_are_published(wire: Wire):
    tools = {tool["name"]: tool for tool in (await wire.request("tools/list")).result["tools"]}
    properties = tools["route"]["inputSchema"]["properties"]
    assert properties["region"]["x-mcp-header"] == "Region"
    assert properties["target"]["properties"]["zone"]["x-mcp-header"] == "Zone"
