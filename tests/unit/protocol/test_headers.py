"""Headers that mirror the body: 2026-07-28 basic/transports/streamable-http, "Request Metadata"."""

from __future__ import annotations

from typing import Any

import pytest

from tasks_server.protocol.headers import (
    HeaderMismatch,
    Headers,
    check_mirrored,
    check_name,
    check_params,
    decode_value,
)


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers((name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs)


def test_names_ignore_case_and_values_do_not() -> None:
    check_mirrored(headers(("MCP-METHOD", "tools/list")), "Mcp-Method", "tools/list")
    with pytest.raises(HeaderMismatch):
        check_mirrored(headers(("Mcp-Method", "TOOLS/LIST")), "Mcp-Method", "tools/list")


def test_whitespace_around_a_value_is_not_part_of_it() -> None:
    check_mirrored(headers(("Mcp-Name", " \t greet  ")), "Mcp-Name", "greet")


def test_a_missing_header_is_a_mismatch() -> None:
    with pytest.raises(HeaderMismatch, match="Mcp-Method header is missing"):
        check_mirrored(headers(), "Mcp-Method", "tools/list")


def test_a_repeated_header_is_a_mismatch_even_if_both_say_the_same() -> None:
    with pytest.raises(HeaderMismatch, match="2 times"):
        check_mirrored(headers(("Mcp-Name", "a"), ("mcp-name", "a")), "Mcp-Name", "a")


@pytest.mark.parametrize("value", ["caf\xe9", "a\x00b", "a\x7fb"])
def test_characters_that_need_encoding_are_a_mismatch(value: str) -> None:
    with pytest.raises(HeaderMismatch, match="Base64"):
        headers(("Mcp-Name", value)).get("Mcp-Name")


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("us-west1", "us-west1"),
        ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
        ("=?base64?IHBhZGRlZCA=?=", " padded "),
        ("=?base64?bGluZTEKbGluZTI=?=", "line1\nline2"),
        ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        ("=?base64??=", ""),
        ("SGVsbG8=", "SGVsbG8="),
        ("=?base64?SGVsbG8=", "=?base64?SGVsbG8="),
        ("SGVsbG8=?=", "SGVsbG8=?="),
        ("=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="),
        ("=?base64?=", "=?base64?="),
    ],
)
def test_values_are_decoded_only_inside_the_exact_markers(value: str, meaning: str) -> None:
    assert decode_value("Mcp-Name", value) == meaning


@pytest.mark.parametrize(
    "encoded", ["SGVsbG8", "SGVs!!!bG8=", "SGVsbG9=", "SGVs bG8=", "SGVsbG8==", "/w==", "_-8="]
)
def test_base64_that_no_encoder_writes_is_a_mismatch(encoded: str) -> None:
    with pytest.raises(HeaderMismatch, match="not valid Base64"):
        decode_value("Mcp-Name", f"=?base64?{encoded}?=")


def test_the_name_is_decoded_before_it_is_compared() -> None:
    check_name(headers(("Mcp-Name", "=?base64?Z3LDvMOfZQ==?=")), "name", "grüße")


@pytest.mark.parametrize(("header", "body"), [("other", "greet"), (None, "greet"), ("greet", None)])
def test_a_name_on_one_side_only_or_another_name_is_a_mismatch(header: str | None, body: str | None) -> None:
    given = headers(("Mcp-Name", header)) if header else headers()
    with pytest.raises(HeaderMismatch):
        check_name(given, "name", body)


def test_a_name_of_the_wrong_type_is_left_to_the_method() -> None:
    check_name(headers(("Mcp-Name", "5")), "name", 5)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "place": {"type": "object", "properties": {"city": {"type": "string", "x-mcp-header": "City"}}},
        "free": {"type": "string"},
    },
}


@pytest.mark.parametrize(
    ("name", "value", "arguments"),
    [
        ("Mcp-Param-Region", "Hello", {"region": "Hello"}),
        ("mcp-param-region", "=?base64?SGVsbG8=?=", {"region": "Hello"}),
        ("Mcp-Param-Count", "42", {"count": 42}),
        ("Mcp-Param-Count", "42.0", {"count": 42}),
        ("Mcp-Param-Count", "42", {"count": 42.0}),
        ("Mcp-Param-Count", "-7", {"count": -7}),
        ("Mcp-Param-Count", "9007199254740991", {"count": 9007199254740991}),
        ("Mcp-Param-Dry", "true", {"dry": True}),
        ("Mcp-Param-City", "Oslo", {"place": {"city": "Oslo"}}),
        ("Mcp-Param-Other", "anything", {}),
    ],
)
def test_parameters_that_say_the_same_pass(name: str, value: str, arguments: dict[str, Any]) -> None:
    check_params(headers((name, value)), SCHEMA, arguments)


@pytest.mark.parametrize(
    ("name", "value", "arguments"),
    [
        ("Mcp-Param-Region", "hello", {"region": "Hello"}),
        ("Mcp-Param-Region", "=?base64?SGVsbG8?=", {"region": "Hello"}),
        ("Mcp-Param-Count", "43", {"count": 42}),
        ("Mcp-Param-Count", "42.5", {"count": 42}),
        ("Mcp-Param-Count", "4e1", {"count": 40}),
        ("Mcp-Param-Count", "1", {"count": True}),
        ("Mcp-Param-Count", "9007199254740993", {"count": 9007199254740992}),
        ("Mcp-Param-Dry", "True", {"dry": True}),
        ("Mcp-Param-Region", "there", {}),
        ("Mcp-Param-Region", "null", {"region": None}),
        ("Mcp-Param-City", "Oslo", {"place": "Oslo"}),
        ("Mcp-Param-Region", "['a']", {"region": ["a"]}),
        ("Mcp-Param-Free", "x", {"region": "only in the body"}),
    ],
)
def test_parameters_that_differ_are_a_mismatch(name: str, value: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(HeaderMismatch):
        check_params(headers((name, value)), SCHEMA, arguments)


@pytest.mark.parametrize("arguments", [{}, {"region": None}, {"free": "x"}, {"region": ["not", "mirrored"]}])
def test_no_header_is_expected_where_there_is_nothing_to_mirror(arguments: dict[str, Any]) -> None:
    check_params(headers(), SCHEMA, arguments)


def test_an_annotation_behind_anything_but_properties_is_not_read() -> None:
    nested = {"type": "array", "items": {"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}}
    check_params(headers(), {"properties": {"list": nested}}, {"list": [{"a": "x"}]})
