"""XLSX: sheet by sheet, as tables of what the cells show."""

# openpyxl's types are partial:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportMissingModuleSource=false

from __future__ import annotations

import contextlib
import datetime as dt
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from workers.tools.documents import markdown
from workers.tools.documents.parts import DocumentRefused, Part
from workers.tools.documents.sheet_links import read_extras

MAX_CELLS = 1_000_000
MAX_EMPTY_ROWS = 10_000
PERCENT = re.compile(r"^#?[,#0]*0(\.(0+))?%$")


class XlsxDocument:
    unit = "sheet"
    batch = 0

    def __init__(self, path: Path, name: str) -> None:
        self.warnings: list[str] = []
        self._path = path
        with contextlib.ExitStack() as opened:
            self._book: Any = _load(path, opened, values=True)
            self._names: list[str] = [sheet.title for sheet in self._book.worksheets]
            if not self._names:
                raise DocumentRefused(f"{name} has no sheets with cells: there is nothing to convert.")
            self._open = opened.pop_all()
        title = str(self._book.properties.title or "").strip()
        self.title = title or None
        self._formulas: Any = None
        self._cells_left = MAX_CELLS

    @property
    def count(self) -> int:
        return len(self._names)

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        for number in numbers:
            name = self._names[number - 1]
            notes: list[str] = []
            rows = self._rows(name, notes)
            blocks = [f"## {markdown.escape(name)}", *_tables(rows)]
            yield Part(markdown="\n\n".join(blocks), notes=notes)

    def close(self) -> None:
        self._open.close()

    def _rows(self, name: str, notes: list[str]) -> list[list[str]]:
        sheet = self._book[name]
        sheet.reset_dimensions()
        extras = read_extras(self._path, name)
        formulas = self._formula_rows(name) if extras.has_formulas else None
        rows: list[list[str]] = []
        missing = empty = 0
        for cells in sheet.iter_rows():
            shown = [_shown(cell) for cell in cells]
            if formulas is not None:
                missing += _fill_in(shown, next(formulas, ()))
            for index, text in enumerate(shown):
                target = extras.links.get(getattr(cells[index], "coordinate", ""))
                if text and target:
                    shown[index] = markdown.link(text, target)
            while shown and not shown[-1]:
                shown.pop()
            self._cells_left -= len(shown)
            empty = 0 if shown else empty + 1
            if self._cells_left < 0 or empty > MAX_EMPTY_ROWS:
                break
            rows.append(shown)
        if self._cells_left < 0:
            notes.append(
                f"The workbook has more than {MAX_CELLS:,} cells; conversion stopped in sheet {name!r}. Use "
                "query_dataset for tables of this size."
            )
        if missing:
            notes.append(
                f"Formulas without a stored result are shown as formulas ({missing:,} in sheet {name!r}). Open and "
                "save the file in a spreadsheet program to have them calculated."
            )
        return rows

    def _formula_rows(self, name: str) -> Iterator[Sequence[Any]]:
        if self._formulas is None:
            self._formulas = _load(self._path, self._open, values=False)
        sheet = self._formulas[name]
        sheet.reset_dimensions()
        return iter(sheet.iter_rows())


def _load(path: Path, opened: contextlib.ExitStack, *, values: bool) -> Any:
    """Over a file of our own, because openpyxl leaves its own open when it fails."""
    file = opened.enter_context(path.open("rb"))
    with warnings.catch_warnings():
        # It warns of features it does not keep when saving, which nobody does here.
        warnings.simplefilter("ignore")
        return load_workbook(file, read_only=True, data_only=values, keep_links=False)


def _fill_in(shown: list[str], formulas: Sequence[Any]) -> int:
    """Put formulas where there is no stored result; how many there were."""
    missing = 0
    for index, cell in enumerate(formulas):
        if index < len(shown) and not shown[index] and cell.data_type == "f":
            shown[index] = markdown.code_span(str(cell.value))
            missing += 1
    return missing


def _shown(cell: Any) -> str:
    """A value as its cell shows it, nearly: ISO dates, percent, and no more digits than are meant."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        percent = PERCENT.match(cell.number_format or "")
        if percent:
            return f"{value * 100:.{len(percent[2] or '')}f}%"
        return str(value) if isinstance(value, int) else f"{value:.15g}"
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return markdown.escape(str(value).strip())


def _tables(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Blank rows part a sheet; a part of single cells is text, any other a table."""
    block: list[Sequence[str]] = []
    for row in [*rows, []]:
        if any(row):
            block.append(row)
            continue
        if block:
            yield _block(block)
        block = []


def _block(rows: Sequence[Sequence[str]]) -> str:
    if all(sum(map(bool, row)) == 1 for row in rows):
        return "\n\n".join(next(filter(None, row)) for row in rows)
    indent = min(next(index for index, text in enumerate(row) if text) for row in rows)
    return markdown.table([row[indent:] for row in rows])
