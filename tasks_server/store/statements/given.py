"""Any number of rows or ids handed to a statement whose text stays the same, so that it is built and planned once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Float,
    FromClause,
    Text,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.types import TypeEngine

from tasks_server.encoding import encode_text

IDS = "ids"

TEXT: TypeEngine[Any] = Text()
NUMBER: TypeEngine[Any] = BigInteger()
FRACTION: TypeEngine[Any] = Float()


def is_given(column: ColumnElement[Any], *, is_sqlite: bool) -> ColumnElement[bool]:
    """Whether the column is one of the ids that `given_ids` binds."""
    if is_sqlite:
        ids = func.json_each(bindparam(IDS, type_=Text)).table_valued("value", name="given")
        return column.in_(select(ids.c.value))
    return column == any_(bindparam(IDS, type_=ARRAY(Text)))


def given_ids(ids: Sequence[str], *, is_sqlite: bool) -> dict[str, Any]:
    """The parameters of a statement with `is_given`."""
    return {IDS: encode_text(list(ids)) if is_sqlite else list(ids)}


class Given:
    """A table that exists only in one statement. columns: its columns with their types, in the order of the rows."""

    def __init__(self, columns: Mapping[str, TypeEngine[Any]], *, is_sqlite: bool) -> None:
        self._columns = columns
        self._is_sqlite = is_sqlite
        if is_sqlite:
            rows = func.json_each(bindparam("given", type_=Text)).table_valued("value", name="given")
            self._found: dict[str, ColumnElement[Any]] = {
                name: func.json_extract(rows.c.value, f"$[{at}]", type_=kind)
                for at, (name, kind) in enumerate(columns.items())
            }
            self.source: FromClause = rows
            return
        arrays = (bindparam(f"given_{name}", type_=ARRAY(kind)) for name, kind in columns.items())
        table = func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
        self._found = {name: table.c[name] for name in columns}
        self.source = table

    def __getitem__(self, column: str) -> ColumnElement[Any]:
        return self._found[column]

    def parameters(self, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """What to execute the statement with. At least one row."""
        if self._is_sqlite:
            return {"given": encode_text(rows)}
        by_column = zip(*rows, strict=True)
        return {f"given_{name}": list(values) for name, values in zip(self._columns, by_column, strict=True)}
