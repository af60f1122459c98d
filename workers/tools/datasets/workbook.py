"""XLSX workbooks: which sheets there are, and each as a table.

Read with calamine (Rust), about ten times as fast as openpyxl; DuckDB's own reader is an extension that would
have to be downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import python_calamine
from python_calamine import CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from workers.tools.datasets.cells import Cell, Column, find_columns, find_header, without_blank_rows
from workers.tools.datasets.engine import Engine, OnPercent, quoted
from workers.tools.datasets.loaded import Loaded
from workers.tools.datasets.refusal import DatasetRefused
from workers.tools.datasets.worksheet_size import refuse_oversized_sheets

ROWS_PER_BATCH = 5_000


def load_workbook(
    engine: Engine, path: Path, sheet: str | None, every_sheet: bool, on_percent: OnPercent
) -> Loaded:
    """The table `data` out of one worksheet: `sheet`, or else the first visible one that holds anything.

    every_sheet: unless one is named, all worksheets are tables under their own names too.
    Raises DatasetRefused.
    """
    refuse_oversized_sheets(path, engine.limits)
    with _opened(path) as workbook:
        names = _worksheets(workbook)
        chosen = _choose(workbook, names, sheet)
        loaded = Loaded()
        _load_sheet(engine, _sheet(workbook, chosen), "data", on_percent)
        others = [name for name in names if name != chosen]
        if others:
            loaded.notes.append(
                f"`data` is the sheet {chosen!r}. Other sheets: {', '.join(map(repr, others))}."
            )
        if every_sheet and sheet is None:
            if chosen.casefold() != "data":
                engine.rows(f"CREATE VIEW {quoted(chosen)} AS SELECT * FROM data")  # noqa: S608
                loaded.tables.append(chosen)
            for name in others:
                if name.casefold() != "data" and _load_sheet(engine, _sheet(workbook, name), name):
                    loaded.tables.append(name)
        return loaded


def _opened(path: Path) -> CalamineWorkbook:
    try:
        return CalamineWorkbook.from_path(str(path))  # pyright: ignore[reportUnknownMemberType]
    except python_calamine.PasswordError as error:
        raise DatasetRefused("The workbook is protected by a password. Save it without one.") from error
    except (python_calamine.CalamineError, OSError) as error:
        raise DatasetRefused(
            f"The workbook is damaged: {error}. Open it in a spreadsheet program and save it again."
        ) from error


def _worksheets(workbook: CalamineWorkbook) -> list[str]:
    """Names, visible sheets first."""
    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ is SheetTypeEnum.WorkSheet]
    sheets.sort(key=lambda sheet: sheet.visible is not SheetVisibleEnum.Visible)
    return [sheet.name for sheet in sheets]


def _choose(workbook: CalamineWorkbook, names: list[str], wanted: str | None) -> str:
    if wanted is None:
        for name in names:
            if _sheet(workbook, name).height:
                return name
        raise DatasetRefused("The workbook is empty: no worksheet has a value in it.")
    for name in names:
        if name.casefold() == wanted.casefold():
            return name
    raise DatasetRefused(f"There is no sheet {wanted!r}. The workbook has {', '.join(map(repr, names))}.")


def _sheet(workbook: CalamineWorkbook, name: str) -> CalamineSheet:
    try:
        return workbook.get_sheet_by_name(name)
    except python_calamine.CalamineError as error:
        raise DatasetRefused(f"The sheet {name!r} is damaged: {error}.") from error


def _load_sheet(
    engine: Engine, sheet: CalamineSheet, table: str, on_percent: OnPercent = lambda _: None
) -> bool:
    """False when the sheet has nothing in it. Read twice: for the columns' types, then for the rows."""
    header = find_header(islice(without_blank_rows(sheet.iter_rows()), 20))
    if header is None:
        return False
    columns = find_columns(header, _body(sheet, header.skip))
    declared = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in columns)
    engine.rows(f"CREATE TABLE {quoted(table)} ({declared})")
    rows = _body(sheet, header.skip)
    done = 0
    while batch := [_converted(row, columns) for row in islice(rows, ROWS_PER_BATCH)]:
        with engine.connection.appender(quoted(table)) as appender:
            appender.append_rows(batch)
        done += len(batch)
        engine.check_cancelled()
        on_percent(min(100.0 * done / sheet.height, 100.0))
    return True


def _body(sheet: CalamineSheet, skip: int) -> Iterator[list[Cell]]:
    return islice(without_blank_rows(sheet.iter_rows()), skip, None)


def _converted(row: list[Cell], columns: list[Column]) -> list[object]:
    return [column.convert(row[column.index]) for column in columns]
