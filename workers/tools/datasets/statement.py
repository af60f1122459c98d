"""Whether a text is exactly one SELECT, decided by DuckDB's own parser before anything is run."""

from __future__ import annotations

import json
from typing import Any, cast

import duckdb
from duckdb import StatementType

from workers.tools.datasets.engine import Engine
from workers.tools.datasets.refusal import QueryRefused

MAX_CHARACTERS = 100_000
_WRITING = {
    "COPY_QUERY_NODE": "COPY",
    "INSERT_QUERY_NODE": "INSERT",
    "UPDATE_QUERY_NODE": "UPDATE",
    "DELETE_QUERY_NODE": "DELETE",
    "MERGE_QUERY_NODE": "MERGE",
}


def one_select(engine: Engine, sql: str) -> str:
    """The SELECT without its semicolon.

    Raises QueryRefused for anything but one SELECT, and duckdb.Error for what cannot be parsed.

    DuckDB lets a SELECT's WITH clause write (`WITH x AS (COPY … TO …) SELECT …`), so the parsed tree is
    searched for that too.
    """
    if len(sql) > MAX_CHARACTERS:
        raise QueryRefused(f"The SQL has {len(sql):,} characters; at most {MAX_CHARACTERS:,} are accepted.")
    statements = engine.connection.extract_statements(sql)
    if not statements:
        raise QueryRefused("The SQL is empty. Write one SELECT, such as: SELECT count(*) FROM data")
    if len(statements) > 1:
        raise QueryRefused(
            f"The SQL has {len(statements)} statements; exactly one SELECT is accepted. "
            "Use WITH … SELECT for intermediate results."
        )
    statement = statements[0]
    if statement.type == StatementType.MULTI:
        raise QueryRefused(
            "A PIVOT whose columns come from the data is several statements. Name the values: "
            "PIVOT data ON column IN ('a', 'b') USING sum(amount)"
        )
    if statement.type != StatementType.SELECT:
        raise QueryRefused(
            f"This is {statement.type.name.replace('_', ' ')}; only a SELECT is accepted (WITH … SELECT too), "
            "over the table `data`."
        )
    if statement.named_parameters:
        raise QueryRefused("The SQL has parameters ($1, ?, $name), but there is nothing to fill them with.")
    _refuse_writing(engine, sql)
    return _before_semicolon(sql)


def _before_semicolon(sql: str) -> str:
    text = sql.encode()
    for offset, kind in duckdb.tokenize(sql):
        if kind == duckdb.token_type.operator and text[offset : offset + 1] == b";":
            return text[:offset].decode()
    return sql


def _refuse_writing(engine: Engine, sql: str) -> None:
    (serialized,) = engine.row("SELECT json_serialize_sql(?::VARCHAR)", [sql])
    try:
        tree = json.loads(serialized)
    except RecursionError as error:
        raise QueryRefused(
            "The SQL is nested too deeply. Use WITH … SELECT for intermediate results."
        ) from error
    if tree["error"]:
        raise duckdb.ParserException(tree["error_message"])
    for node in _nodes(tree["statements"]):
        kind = node.get("type")
        if isinstance(kind, str) and kind.endswith("_QUERY_NODE"):
            raise QueryRefused(
                f"The WITH clause contains {_WRITING.get(kind, 'a writing statement')}; only SELECT is accepted."
            )


def _nodes(tree: Any) -> list[dict[str, Any]]:
    """Every object in the tree; not recursive, because SQL may be nested deeper than Python's stack."""
    found: list[dict[str, Any]] = []
    rest: list[Any] = [tree]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            node = cast("dict[str, Any]", part)
            found.append(node)
            rest.extend(node.values())
        elif isinstance(part, list):
            rest.extend(cast("list[Any]", part))
    return found
