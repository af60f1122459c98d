"""How a delimited text file is laid out: what separates its fields, and where the table begins."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SAMPLE_CHARACTERS = 256 * 1024
DELIMITERS = ("\t", ";", "|", ",")
"""Rarest in text first: the earlier one wins when two fit equally well."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """preamble: how many lines stand above the table (a title, a date of export)."""

    delimiter: str
    preamble: int = 0


def find_dialect(path: Path, delimiter: str | None = None) -> Dialect:
    """From the first part of a UTF-8 file.

    The delimiter is the one that cuts most records into the same number of fields. Lines above the first such
    record are a preamble if at most half as many fields in them are filled.
    """
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        sample = file.read(SAMPLE_CHARACTERS)
        is_whole = not file.read(1)
    candidates = [delimiter] if delimiter else DELIMITERS
    best = Dialect(delimiter or ",")
    best_share = 0.0
    for candidate in candidates:
        records = _records(sample, candidate, is_whole)
        width, share = _usual_width(records)
        if share > best_share:
            best, best_share = Dialect(candidate, _preamble(records, width)), share
    return best


@dataclass(frozen=True, slots=True)
class _Record:
    first_line: int
    fields: list[str]


def _records(sample: str, delimiter: str, is_whole: bool) -> list[_Record]:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True)
    records: list[_Record] = []
    while True:
        line = reader.line_num
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error:  # something between a closing quotation mark and this delimiter
            fields = ["?"]
        records.append(_Record(line, fields))
    return records if is_whole or len(records) < 2 else records[:-1]


def _usual_width(records: list[_Record]) -> tuple[int, float]:
    """The most frequent number of fields above one, and the share of records that have it."""
    filled = [record for record in records if record.fields]
    widths = Counter(len(record.fields) for record in filled if len(record.fields) > 1)
    if not widths:
        return 1, 0.0
    width, count = widths.most_common(1)[0]
    return width, count / len(filled)


def _preamble(records: list[_Record], width: int) -> int:
    for record in records:
        filled = sum(bool(field.strip()) for field in record.fields)
        if len(record.fields) == width or filled > width // 2:
            return record.first_line
    return 0
