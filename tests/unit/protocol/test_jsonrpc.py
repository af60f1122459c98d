"""What is a message and what is not: JSON-RPC 2.0 sections 4 to 6, 2026-07-28 basic/index "Messages"."""

from __future__ import annotations

import mcp_types.jsonrpc as official
import orjson
import pytest

from tasks_server import errors
from tasks_server.errors import RpcError
from tasks_server.protocol import jsonrpc
from tasks_server.protocol.jsonrpc import MalformedMessage, Notification, Request, parse


def encoded(**message: object) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", **message})


@pytest.mark.parametrize("request_id", ["a", "", 0, 7, -1])
def test_strings_and_integers_are_request_ids(request_id: object) -> None:
    assert parse(encoded(id=request_id, method="m")) == Request(request_id, "m", {})  # type: ignore[arg-type]


def test_a_message_without_an_id_is_a_notification() -> None:
    assert parse(encoded(method="m", params={"a": 1})) == Notification("m", {"a": 1})


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b"\xff", b'{"a": NaN}', b"[" * 5000])
def test_what_is_not_json_is_a_parse_error_without_an_id(body: bytes) -> None:
    with pytest.raises(MalformedMessage) as raised:
        parse(body)
    assert (raised.value.code, raised.value.request_id) == (-32700, None)


@pytest.mark.parametrize(
    ("body", "request_id"),
    [
        pytest.param(b"[]", None, id="empty batch"),
        pytest.param(b'[{"jsonrpc":"2.0","id":1,"method":"m"}]', None, id="batch"),
        pytest.param(b"1", None, id="no object"),
        pytest.param(encoded(id=1, result={}), 1, id="posted result"),
        pytest.param(encoded(id="e", error={"code": 1, "message": ""}), "e", id="posted error"),
        pytest.param(encoded(id=None, method="m"), None, id="null id"),
        pytest.param(encoded(id=1.5, method="m"), None, id="fractional id"),
        pytest.param(encoded(id=True, method="m"), None, id="boolean id"),
        pytest.param(encoded(id=1, method=2), 1, id="method is no string"),
        pytest.param(encoded(id=1, method="m", params=[1]), 1, id="positional params"),
        pytest.param(encoded(id=1, method="m", params=None), 1, id="null params"),
        pytest.param(b'{"id":1,"method":"m"}', 1, id="no version"),
        pytest.param(b'{"jsonrpc":"1.0","id":1,"method":"m"}', 1, id="other version"),
    ],
)
def test_what_is_not_one_request_or_notification_is_invalid(body: bytes, request_id: object) -> None:
    with pytest.raises(MalformedMessage) as raised:
        parse(body)
    assert (raised.value.code, raised.value.request_id) == (-32600, request_id)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_accepted_only_as_deep_as_it_can_be_written_again(opening: bytes, closing: bytes) -> None:
    def nested(levels: int) -> bytes:
        value = opening * levels + b"1" + closing * levels
        return b'{"jsonrpc":"2.0","id":7,"method":"m","params":{"a":' + value + b"}}"

    accepted = parse(nested(jsonrpc.MAX_DEPTH - 2))
    assert isinstance(accepted, Request)
    orjson.dumps({"somewhere": {"in a": {"larger": {"answer": accepted.params}}}})
    for levels in (jsonrpc.MAX_DEPTH + 10, 1_000):
        with pytest.raises(MalformedMessage, match="nested too deeply") as raised:
            parse(nested(levels))
        assert (raised.value.code, raised.value.request_id) == (errors.INVALID_REQUEST, 7)


def test_deeper_than_can_be_read_is_said_to_be_too_deep() -> None:
    with pytest.raises(MalformedMessage, match="nested too deeply"):
        parse(b"[" * 2_000 + b"]" * 2_000)


def test_many_brackets_side_by_side_are_not_depth() -> None:
    body = encoded(id=1, method="m", params={"rows": [[1, 2]] * 1_000, "text": "[" * 1_000})
    assert isinstance(parse(body), Request)


def test_an_error_for_an_unreadable_id_has_no_id() -> None:
    assert orjson.loads(jsonrpc.encode_error(None, RpcError(-32700, "no"))) == {
        "jsonrpc": "2.0",
        "error": {"code": -32700, "message": "no"},
    }


def test_an_error_keeps_its_id_even_when_it_is_falsy() -> None:
    assert orjson.loads(jsonrpc.encode_error(0, RpcError(-1, "no", {"a": 1}))) == {
        "jsonrpc": "2.0",
        "id": 0,
        "error": {"code": -1, "message": "no", "data": {"a": 1}},
    }


def test_messages_are_single_lines() -> None:
    message = jsonrpc.encode_result(1, {"text": "two\nlines\r\n"})
    assert b"\n" not in message
    assert b"\r" not in message


def test_the_codes_are_the_specifications() -> None:
    assert errors.PARSE_ERROR == official.PARSE_ERROR
    assert errors.INVALID_REQUEST == official.INVALID_REQUEST
    assert errors.METHOD_NOT_FOUND == official.METHOD_NOT_FOUND
    assert errors.INVALID_PARAMS == official.INVALID_PARAMS
    assert errors.INTERNAL_ERROR == official.INTERNAL_ERROR
    assert errors.HEADER_MISMATCH == official.HEADER_MISMATCH
    assert errors.MISSING_CLIENT_CAPABILITY == official.MISSING_REQUIRED_CLIENT_CAPABILITY
    assert errors.UNSUPPORTED_PROTOCOL_VERSION == official.UNSUPPORTED_PROTOCOL_VERSION
