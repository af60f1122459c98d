"""What a worksheet's cells say about its columns: where the header is, their names and their types.

Excel has no column types, only cells; a column gets the narrowest SQL type that holds all of its cells.
Sheets have millions of cells, so whole columns of a batch of rows are looked at and converted at once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from workers.tools.datasets.names import distinct_names

Cell = int | float | str | bool | dt.time | dt.date | dt.datetime | dt.timedelta
Batch = list[list[Cell]]

MAX_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Header:
    """names: per column, "" where there is none. skip: how many non-blank rows come before the data."""

    names: list[str]
    skip: int


@dataclass(frozen=True, slots=True)
class Column:
    """index: in the row. convert: from cells to what the engine takes."""

    name: str
    index: int
    sql_type: str
    convert: Callable[[Sequence[Cell]], list[object]]


def without_blank_rows(rows: Iterable[list[Cell]]) -> Iterator[list[Cell]]:
    return (row for row in rows if row.count("") < len(row))


def find_header(first_rows: Iterable[list[Cell]]) -> Header | None:
    """The first row that is at least half as full as the fullest is the header, if all it holds is text.

    Rows above it are titles. Without such a row of text there is no header. None: there are no rows.
    """
    rows = list(first_rows)
    if not rows:
        return None
    filled = [len(row) - row.count("") for row in rows]
    start = next(index for index, count in enumerate(filled) if count * 2 >= max(filled))
    if all(isinstance(cell, str) for cell in rows[start]):
        return Header([str(cell).strip() for cell in rows[start]], start + 1)
    return Header([""] * len(rows[start]), start)


def find_columns(header: Header, batches: Iterable[Batch]) -> list[Column]:
    """Columns that have a name or a value, with distinct names (compared as SQL does, ignoring case)."""
    kinds = [_Kinds() for _ in header.names]
    for batch in batches:
        for seen, cells in zip(kinds, zip(*batch, strict=True), strict=True):
            seen.add(cells)
    used = [index for index, name in enumerate(header.names) if name or kinds[index].types]
    names = distinct_names(header.names[index] or f"column{index}" for index in used)
    return [Column(name, index, *_type_of(kinds[index])) for name, index in zip(names, used, strict=True)]


def converted(batch: Batch, columns: list[Column]) -> Iterator[tuple[object, ...]]:
    cells = list(zip(*batch, strict=True))
    return zip(*(column.convert(cells[column.index]) for column in columns), strict=True)


@dataclass(slots=True)
class _Kinds:
    """The Python types of a column's cells. whole: whether all its numbers are integers."""

    types: set[type] = field(default_factory=set[type])
    whole: bool = True

    def add(self, cells: Sequence[Cell]) -> None:
        found: set[type] = set(map(type, cells))
        if str in found and not any(type(cell) is str and cell for cell in cells):
            found.discard(str)  # only blanks
        if self.whole and float in found:
            self.whole = all(_is_whole(cell) for cell in cells if isinstance(cell, float))
        self.types |= found


def _is_whole(number: float) -> bool:
    return number.is_integer() and abs(number) < MAX_EXACT


def _type_of(kinds: _Kinds) -> tuple[str, Callable[[Sequence[Cell]], list[object]]]:
    if kinds.types and kinds.types <= {int, float}:
        return ("BIGINT", _integers) if kinds.whole else ("DOUBLE", _as_they_are)
    for accepted, sql_type in _TYPES:
        if kinds.types and kinds.types <= accepted:
            return sql_type, _as_they_are
    return "VARCHAR", _texts


_TYPES: list[tuple[set[type], str]] = [
    ({bool}, "BOOLEAN"),
    ({dt.date}, "DATE"),
    ({dt.date, dt.datetime}, "TIMESTAMP"),
    ({dt.time}, "TIME"),
    ({dt.timedelta}, "INTERVAL"),
]


def _as_they_are(cells: Sequence[Cell]) -> list[object]:
    return [None if cell == "" else cell for cell in cells]


def _integers(cells: Sequence[Cell]) -> list[object]:
    return [int(cell) if isinstance(cell, float) else None if cell == "" else cell for cell in cells]


def _texts(cells: Sequence[Cell]) -> list[object]:
    return [_text(cell) for cell in cells]


def _text(cell: Cell) -> str | None:
    if isinstance(cell, float) and _is_whole(cell):
        return str(int(cell))
    return str(cell) or None
