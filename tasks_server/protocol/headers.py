"""The request headers that mirror the body, and the comparison the server owes them.

Source: 2026-07-28 basic/transports/streamable-http, "Request Metadata". A gateway may have routed or
refused a request by its headers, so a header that says something else than the body is an attack or a bug:
-32020.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

from tasks_server.errors import HEADER_MISMATCH, RpcError

PROTOCOL_VERSION = "MCP-Protocol-Version"
METHOD = "Mcp-Method"
NAME = "Mcp-Name"
PARAM_PREFIX = "Mcp-Param-"

_ENCODED = re.compile(r"=\?base64\?(.*)\?=")
_PLAIN = re.compile(r"[\x20-\x7e\t]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NUMERAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_MIRRORED_TYPES = ("string", "integer", "boolean")


class HeaderMismatch(RpcError):
    """-32020: a header is missing, malformed, or says something else than the body."""

    def __init__(self, message: str) -> None:
        super().__init__(HEADER_MISMATCH, f"Header mismatch: {message}")


class Headers:
    """The headers of one HTTP request, duplicates kept."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in raw:
            self._values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def get(self, name: str) -> str | None:
        """The one value, without surrounding whitespace (RFC 9110 section 5.5); None if the header is absent.

        Raises HeaderMismatch for a repeated header, which two readers could understand differently, and for
        characters that a header cannot carry.
        """
        values = self._values.get(name.lower())
        if values is None:
            return None
        if len(values) > 1:
            raise HeaderMismatch(f"{name} is given {len(values)} times")
        if not _PLAIN.fullmatch(values[0]):
            raise HeaderMismatch(f"{name} contains characters that must be Base64-encoded")
        return values[0].strip(" \t")


def check_mirrored(headers: Headers, name: str, expected: str) -> None:
    """Raise HeaderMismatch unless the header is there and equals the body's value."""
    value = headers.get(name)
    if value is None:
        raise HeaderMismatch(f"the {name} header is missing; the body says {expected!r}")
    if value != expected:
        raise HeaderMismatch(f"{name} is {value!r}, but the body says {expected!r}")


def check_name(headers: Headers, source: str, expected: Any, required: bool = True) -> None:
    """Compare `Mcp-Name` with the parameter it mirrors; a parameter of the wrong type is not judged here."""
    value = headers.get(NAME)
    if isinstance(expected, str):
        if value is None:
            if not required:
                return
            raise HeaderMismatch(f"the {NAME} header is missing; params.{source} is {expected!r}")
        if decode_value(NAME, value) != expected:
            raise HeaderMismatch(f"{NAME} is {value!r}, but params.{source} is {expected!r}")
    elif value is not None and expected is None:
        raise HeaderMismatch(f"{NAME} is {value!r}, but params.{source} is missing")


def check_params(headers: Headers, input_schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Compare every `Mcp-Param-*` header the tool declares with the argument it mirrors."""
    for path, schema in _mirrored_properties(input_schema):
        name = PARAM_PREFIX + cast("str", schema["x-mcp-header"])
        where = "arguments." + ".".join(path)
        argument = _value_at(arguments, path)
        value = headers.get(name)
        if argument is None:
            if value is not None:
                raise HeaderMismatch(f"{name} is {value!r}, but {where} is missing")
        elif value is not None:
            if not _says(schema, argument, decode_value(name, value)):
                raise HeaderMismatch(f"{name} is {value!r}, which is not the value of {where}")
        elif isinstance(argument, str | int | float):
            raise HeaderMismatch(f"the {name} header is missing, but {where} has a value")


def decode_value(name: str, value: str) -> str:
    """Undo "Value Encoding": `=?base64?…?=` holds UTF-8, everything else stands for itself.

    Raises HeaderMismatch for Base64 that no encoder would have produced.
    """
    match = _ENCODED.fullmatch(value)
    if match is None:
        return value
    encoded = match[1]
    try:
        content = base64.b64decode(encoded, validate=True)
        if base64.b64encode(content).decode() == encoded:
            return content.decode()
    except (binascii.Error, UnicodeError):
        pass
    raise HeaderMismatch(f"{name} is not valid Base64: {value!r}")


def _mirrored_properties(
    schema: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    for name, value in cast("dict[str, Any]", properties).items():
        if not isinstance(value, dict):
            continue
        child = cast("dict[str, Any]", value)
        header = child.get("x-mcp-header")
        if isinstance(header, str) and _TOKEN.fullmatch(header) and child.get("type") in _MIRRORED_TYPES:
            yield (*path, name), child
        yield from _mirrored_properties(child, (*path, name))


def _value_at(arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = arguments
    for step in path:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(step)
    return value


def _says(schema: Mapping[str, Any], argument: Any, text: str) -> bool:
    if isinstance(argument, bool):
        return text == ("true" if argument else "false")
    if isinstance(argument, int | float):
        if schema.get("type") == "integer" and _NUMERAL.fullmatch(text):
            return Decimal(text) == Decimal(str(argument))
        return text == str(argument)
    return text == argument
