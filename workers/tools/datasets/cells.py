"""What a worksheet's cells say about its columns: where the header is, their names and their types.

Excel has no column types, only cells; a column gets the narrowest SQL type that holds all of its cells.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Cell = int | float | str | bool | dt.time | dt.date | dt.datetime | dt.timedelta

MAX_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Header:
    """names: per column, "" where there is none. skip: how many non-blank rows come before the data."""

    names: list[str]
    skip: int


@dataclass(frozen=True, slots=True)
class Column:
    """index: in the row. convert: from the cell to what the engine takes."""

    name: str
    index: int
    sql_type: str
    convert: Callable[[Cell], object]


def without_blank_rows(rows: Iterable[list[Cell]]) -> Iterator[list[Cell]]:
    return (row for row in rows if any(cell != "" for cell in row))


def find_header(first_rows: Iterable[list[Cell]]) -> Header | None:
    """The first row that is at least half as full as the fullest is the header, if all it holds is text.

    Rows above it are titles. Without such a row of text there is no header. None: there are no rows.
    """
    rows = list(first_rows)
    if not rows:
        return None
    filled = [sum(cell != "" for cell in row) for row in rows]
    start = next(index for index, count in enumerate(filled) if count * 2 >= max(filled))
    if all(isinstance(cell, str) for cell in rows[start]):
        return Header([str(cell).strip() for cell in rows[start]], start + 1)
    return Header([""] * len(rows[start]), start)


def find_columns(header: Header, rows: Iterable[list[Cell]]) -> list[Column]:
    """Columns that have a name or a value, with distinct names (compared as SQL does, ignoring case)."""
    kinds: list[set[str]] = [set() for _ in header.names]
    for row in rows:
        for index, cell in enumerate(row):
            if cell != "":
                kinds[index].add(_kind(cell))
    used = [index for index, name in enumerate(header.names) if name or kinds[index]]
    names = _distinct([header.names[index] or f"column{index}" for index in used])
    return [Column(name, index, *_type_of(kinds[index])) for name, index in zip(names, used, strict=True)]


def _kind(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < MAX_EXACT:
        return "int"
    return type(cell).__name__


def _type_of(kinds: set[str]) -> tuple[str, Callable[[Cell], object]]:
    for accepted, sql_type, convert in _TYPES:
        if kinds and kinds <= accepted:
            return sql_type, convert
    return "VARCHAR", _or_null(_as_text)


def _or_null(convert: Callable[[Cell], object]) -> Callable[[Cell], object]:
    return lambda cell: None if cell == "" else convert(cell)


def _as_integer(cell: Cell) -> object:
    return int(cell) if isinstance(cell, float) else cell


def _as_is(cell: Cell) -> object:
    return cell


def _as_text(cell: Cell) -> object:
    if isinstance(cell, float) and _kind(cell) == "int":
        return str(int(cell))
    return str(cell)


_TYPES: list[tuple[set[str], str, Callable[[Cell], object]]] = [
    ({"int"}, "BIGINT", _or_null(_as_integer)),
    ({"int", "float"}, "DOUBLE", _or_null(_as_is)),
    ({"bool"}, "BOOLEAN", _or_null(_as_is)),
    ({"date"}, "DATE", _or_null(_as_is)),
    ({"date", "datetime"}, "TIMESTAMP", _or_null(_as_is)),
    ({"time"}, "TIME", _or_null(_as_is)),
    ({"timedelta"}, "INTERVAL", _or_null(_as_is)),
]


def _distinct(names: list[str]) -> list[str]:
    taken: set[str] = set()
    result: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate.casefold())
        result.append(candidate)
    return result
