from __future__ import annotations

from typing import Any

import pytest

from workers.headers import refuse_bad_headers


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _string(header: Any) -> dict[str, Any]:
    return {"type": "string", "x-mcp-header": header}


def test_plain_parameters_may_have_headers_also_inside_objects() -> None:
    inner = _object(zone={"type": "integer", "x-mcp-header": "Zone"})
    refuse_bad_headers(_object(region=_string("Region"), place=inner, urgent={"type": "boolean"}))


@pytest.mark.parametrize("header", ["", "Two Words", "Line\nBreak", "Ünicode", 5, None])
def test_a_header_name_is_a_token(header: Any) -> None:
    with pytest.raises(ValueError, match=r"region.*header token"):
        refuse_bad_headers(_object(region=_string(header)))


def test_header_names_are_unique_whatever_their_case() -> None:
    with pytest.raises(ValueError, match="twice"):
        refuse_bad_headers(_object(a=_string("Region"), b=_string("REGION")))


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "number"},
        {"type": "object"},
        {"type": "array"},
        {"$ref": "#/$defs/Region"},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
    ],
)
def test_only_strings_integers_and_booleans_have_headers(parameter: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="annotate it as str, int or bool"):
        refuse_bad_headers(_object(region={**parameter, "x-mcp-header": "Region"}))


@pytest.mark.parametrize(
    "schema",
    [
        _object(regions={"type": "array", "items": _string("Region")}),
        {**_object(), "anyOf": [_object(region=_string("Region"))]},
        {**_object(), "$defs": {"region": _string("Region")}},
        {**_object(), "if": _object(region=_string("Region"))},
        {**_object(), "x-mcp-header": "Region"},
    ],
)
def test_a_header_where_no_chain_of_properties_leads_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only on properties"):
        refuse_bad_headers(schema)


def test_data_that_merely_looks_like_a_header_is_left_alone() -> None:
    parameter = {"type": "object", "default": {"x-mcp-header": "data"}, "enum": [{"x-mcp-header": "data"}]}
    refuse_bad_headers(_object(**{"x-mcp-header": {"type": "string"}, "choice": parameter}))
