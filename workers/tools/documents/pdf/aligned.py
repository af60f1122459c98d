"""Tables without vertical rules: lines whose parts stand below each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from workers.tools.documents.pdf.lines import BULLET, LEADER, Line, Segment

COLUMN_GAP_EM = 0.6
MAX_ROW_GAP_EM = 3.2
WRAP_GAP_EM = 1.45
MAX_WRAPPED_LINES = 3
MIN_ROWS_OF_TWO_COLUMNS = 3
LOOSE = 1.3
# They start list items, and stand in tables of operators or for an empty cell.
SIGNS = "*-–—"  # noqa: RUF001
LIST_MARK = re.compile(r"^(\W{1,3}|\W?(\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.):]*)$")


@dataclass(slots=True)
class AlignedTable:
    """Lines `first` to `last` (inclusive) of those looked at; a cell is its segments, top to bottom."""

    first: int
    last: int
    rows: list[list[list[Segment]]]


def find_tables(lines: Sequence[Line]) -> list[AlignedTable]:
    """The aligned tables among the lines of one column of text."""
    tables: list[AlignedTable] = []
    index = 0
    while index < len(lines):
        run = _run(lines, index)
        table = _table(lines, index, run) if run is not None else None
        if table is None:
            index += 1
            continue
        tables.append(table)
        index = table.last + 1
    return tables


def _run(lines: Sequence[Line], first: int) -> int | None:
    """The last line of a run that starts with a line of several segments and may hold wrapped cells."""
    if len(lines[first].segments) < 2 or not _may_be_row(lines[first]):
        return None
    last, wrapped = first, 0
    for index in range(first + 1, len(lines)):
        line, above = lines[index], lines[index - 1]
        if not _may_be_row(line) or line.baseline - above.baseline > MAX_ROW_GAP_EM * max(
            line.size, above.size
        ):
            break
        if len(line.segments) > 1:
            last, wrapped = index, 0
            continue
        wrapped += 1
        if wrapped > MAX_WRAPPED_LINES or line.baseline - above.baseline > WRAP_GAP_EM * above.size:
            break
    # Lines that wrap the last row's cells.
    while last + 1 < len(lines) and _wraps(lines[last + 1], lines[last], lines[first : last + 1]):
        last += 1
    return last if last > first else None


def _may_be_row(line: Line) -> bool:
    """Code keeps its own alignment, lines with leaders are a table of contents, bullets make a list."""
    first = line.words[0].text
    is_bullet = bool(BULLET.match(first)) and first not in SIGNS
    return not is_bullet and not line.is_mono and not LEADER.search(line.text)


def _wraps(line: Line, above: Line, run: Sequence[Line]) -> bool:
    """Whether the line goes on in a column other than the first, which is where prose would start."""
    if len(line.segments) > 1 or line.baseline - above.baseline > WRAP_GAP_EM * above.size:
        return False
    starts = [segment.x0 for row in run for segment in row.segments[1:]]
    return any(abs(line.x0 - start) < 0.3 * line.size for start in starts)


def _table(lines: Sequence[Line], first: int, last: int) -> AlignedTable | None:
    """The longest table that starts at `first`: a line that fits no column ends it."""
    while last > first:
        run = lines[first : last + 1]
        columns = _columns([segment for line in run for segment in line.segments])
        rows = sum(len(line.segments) > 1 for line in run)
        enough = MIN_ROWS_OF_TWO_COLUMNS if len(columns) == 2 else 2
        if len(columns) >= 2 and rows >= enough and _is_filled(run, columns):
            return AlignedTable(first, last, _rows(run, columns))
        last -= 1
        while last > first and len(lines[last].segments) < 2:
            last -= 1
    return None


def _columns(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    """The x ranges that the segments cover together, apart by a visible gap."""
    if not segments:
        return []
    gap = COLUMN_GAP_EM * median(segment.size for segment in segments)
    columns: list[tuple[float, float]] = []
    for x0, x1 in sorted((segment.x0, segment.x1) for segment in segments):
        if columns and x0 - columns[-1][1] < gap:
            columns[-1] = (columns[-1][0], max(x1, columns[-1][1]))
        else:
            columns.append((x0, x1))
    return columns


def _is_filled(run: Sequence[Line], columns: Sequence[tuple[float, float]]) -> bool:
    """Not a list, nor a few scattered words: most rows fill half of the columns or more."""
    rows = [line for line in run if len(line.segments) > 1]
    if sum(len(line.segments) for line in rows) < 0.5 * len(columns) * len(rows):
        return False
    return len(columns) > 2 or not all(LIST_MARK.match(line.segments[0].text) for line in rows)


def _rows(run: Sequence[Line], columns: Sequence[tuple[float, float]]) -> list[list[list[Segment]]]:
    gaps = [below.baseline - above.baseline for above, below in pairwise(run)]
    tight = LOOSE * min(gaps, default=0.0)
    loose = sum(gap > tight for gap in gaps) / max(1, len(gaps))
    rows: list[list[list[Segment]]] = []
    for number, line in enumerate(run):
        cells: list[list[Segment]] = [[] for _ in columns]
        for segment in line.segments:
            cells[_column(segment, columns)].append(segment)
        if rows and gaps[number - 1] <= tight and _is_continuation(cells, loose):
            for cell, more in zip(rows[-1], cells, strict=True):
                cell.extend(more)
        else:
            rows.append(cells)
    return rows


def _is_continuation(cells: Sequence[list[Segment]], loose: float) -> bool:
    """Whether a line that follows closely wraps the row above. `loose`: the share of wider gaps in the table.

    Without an entry in the first column it does, unless it fills all the others: then it may be another row
    of the same group, and only the spacing can tell.
    """
    filled = sum(map(bool, cells))
    if cells[0]:
        return loose >= 0.4 and filled < len(cells)
    return len(cells) == 2 or filled < len(cells) - 1 or loose >= 0.3


def _column(segment: Segment, columns: Sequence[tuple[float, float]]) -> int:
    middle = (segment.x0 + segment.x1) / 2
    return min(
        range(len(columns)),
        key=lambda n: 0.0 if columns[n][0] <= middle <= columns[n][1] else abs(columns[n][0] - middle),
    )
