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

from workers.tools.datasets.cells import Batch, converted, find_columns, find_header, without_blank_rows
from workers.tools.datasets.engine import Engine, OnPercent, quoted
from workers.tools.datasets.loaded import Loaded
from workers.tools.datasets.refusal import DatasetRefused
from workers.tools.datasets.worksheet_size import refuse_oversized_sheets

ROWS_PER_BATCH = 5_000
HEADER_ROWS = 20
"""Among so many first rows the header is looked for."""


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
        others = [name for name in names if name != chosen.name]
        loaded = Loaded()
        if not _load_sheet(engine, chosen, "data", on_percent):
            raise DatasetRefused(f"The sheet {chosen.name!r} is empty. Other sheets: {_listed(others)}.")
        if others:
            loaded.notes.append(f"`data` is the sheet {chosen.name!r}. Other sheets: {_listed(others)}.")
        if every_sheet and sheet is None:
            loaded.tables += _load_others(engine, workbook, chosen.name, others)
        return loaded


def _load_others(engine: Engine, workbook: CalamineWorkbook, chosen: str, others: list[str]) -> list[str]:
    """The names under which there are tables now, beside `data`. SQL's names ignore case."""
    tables: list[str] = []
    for name in [chosen, *others]:
        if name.casefold() == "data":
            continue
        if name == chosen:
            engine.rows(f"CREATE VIEW {quoted(name)} AS SELECT * FROM data")  # noqa: S608
        elif not _load_sheet(engine, _sheet(workbook, name), name):
            continue
        tables.append(name)
    return tables


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


def _choose(workbook: CalamineWorkbook, names: list[str], wanted: str | None) -> CalamineSheet:
    if wanted is None:
        for name in names:
            sheet = _sheet(workbook, name)
            if sheet.height:
                return sheet
        raise DatasetRefused("The workbook is empty: no worksheet has a value in it.")
    for name in names:
        if name.casefold() == wanted.casefold():
            return _sheet(workbook, name)
    raise DatasetRefused(f"There is no sheet {wanted!r}. The workbook has {_listed(names)}.")


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _sheet(workbook: CalamineWorkbook, name: str) -> CalamineSheet:
    try:
        return workbook.get_sheet_by_name(name)
    except python_calamine.CalamineError as error:
        raise DatasetRefused(f"The sheet {name!r} is damaged: {error}.") from error


def _load_sheet(
    engine: Engine, sheet: CalamineSheet, table: str, on_percent: OnPercent = lambda _: None
) -> bool:
    """False when the sheet has nothing in it. Read twice: for the columns' types, then for the rows."""
    header = find_header(islice(without_blank_rows(sheet.iter_rows()), HEADER_ROWS))
    if header is None:
        return False
    columns = find_columns(header, _batches(engine, sheet, header.skip))
    declared = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in columns)
    engine.rows(f"CREATE TABLE {quoted(table)} ({declared})")
    done = 0
    for batch in _batches(engine, sheet, header.skip):
        with engine.connection.appender(quoted(table)) as appender:
            appender.append_rows(converted(batch, columns))
        done += len(batch)
        on_percent(min(100.0 * done / sheet.height, 100.0))
    return True


def _batches(engine: Engine, sheet: CalamineSheet, skip: int) -> Iterator[Batch]:
    rows = islice(without_blank_rows(sheet.iter_rows()), skip, None)
    while batch := list(islice(rows, ROWS_PER_BATCH)):
        engine.check_cancelled()
        yield batch
