"""How large a workbook is before it is read: readers allocate the whole rectangle that a sheet's values span,
so one stray value in the last row and column would cost hundreds of gigabytes.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

from workers.tools.datasets.limits import Limits, in_words
from workers.tools.datasets.refusal import DatasetRefused

CHUNK_BYTES = 4 * 1024 * 1024
OVERLAP_BYTES = 256

_CELL_WITH_VALUE = re.compile(rb'<(?:\w+:)?c\s(?:[^>]*?\s)?r="([A-Z]{1,3})(\d{1,7})"[^>]*(?<!/)>')


def refuse_oversized_sheets(path: Path, limits: Limits) -> None:
    """Raises DatasetRefused when the workbook is damaged or too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(
                entry.file_size for entry in archive.infolist() if entry.filename.startswith("xl/")
            )
            if unpacked > limits.unpacked:
                raise DatasetRefused(
                    f"The workbook has {in_words(unpacked)} of content once unpacked, more than the "
                    f"{in_words(limits.unpacked)} this tool accepts. Save the sheet as CSV or Parquet."
                )
            for name in archive.namelist():
                if re.fullmatch(r"xl/worksheets/[^/]+\.xml", name):
                    _refuse_oversized_sheet(archive, name, limits)
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError) as error:
        raise DatasetRefused(
            f"The workbook is damaged: {error}. Open it in a spreadsheet program and save it again."
        ) from error


def _refuse_oversized_sheet(archive: zipfile.ZipFile, name: str, limits: Limits) -> None:
    rows, columns = _extent(archive, name)
    if columns > limits.columns:
        raise DatasetRefused(
            f"A worksheet spans {columns:,} columns; at most {limits.columns:,} are accepted. Delete what "
            "lies far to the right, or transpose it."
        )
    if rows * columns > limits.cells:
        raise DatasetRefused(
            f"A worksheet spans {rows:,} rows by {columns:,} columns, more than the {limits.cells:,} cells "
            "this tool accepts. Delete stray values far from the table, or save the sheet as CSV or Parquet."
        )


def _extent(archive: zipfile.ZipFile, name: str) -> tuple[int, int]:
    """Rows and columns up to the last value."""
    last_row = last_column = 0
    widths: set[bytes] = set()
    tail = b""
    with archive.open(name) as part:
        while chunk := part.read(CHUNK_BYTES):
            text = tail + chunk
            found = _CELL_WITH_VALUE.findall(text)
            if found:
                last_row = max(last_row, int(found[-1][1]))
                widths.update(column for column, _ in found)
            tail = text[-OVERLAP_BYTES:]
    last_column = max((_number(column) for column in widths), default=0)
    return last_row, last_column


def _number(column: bytes) -> int:
    """b"AA" → 27."""
    number = 0
    for letter in column:
        number = number * 26 + letter - ord("A") + 1
    return number
