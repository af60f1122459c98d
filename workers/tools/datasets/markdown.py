"""Results as Markdown, for the model: short, but enough to go on without opening a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from workers.tools.datasets.loaded import RejectedRows
from workers.tools.datasets.report import ColumnProfile, ProfileSummary, QueryResult
from workers.units import count_of

MAX_CELL = 80
MAX_COLUMNS = 60
MAX_RESULT_COLUMNS = 40


def profile_markdown(summary: ProfileSummary, columns: Sequence[ColumnProfile]) -> str:
    """A line per column."""
    about = " ≈ marks estimates." if summary.estimated else ""
    lines = [
        f"**{_cell(summary.source)}** ({summary.format}): {count_of(summary.rows, 'row')}, "
        f"{count_of(summary.columns, 'column')}.{about}",
        *_remarks(summary.notes, summary.rejected_rows),
        "",
        *_table(
            ["column", "type", "null", "distinct", "min", "median", "max", "mean", "most frequent"],
            [_profile_row(column, summary) for column in columns[:MAX_COLUMNS]],
        ),
    ]
    if len(columns) > MAX_COLUMNS:
        lines.append(f"\n… and {count_of(len(columns) - MAX_COLUMNS, 'more column')}; the JSON file has all.")
    return "\n".join(lines)


def query_markdown(result: QueryResult) -> str:
    """The first rows as a table."""
    shown = result.columns[:MAX_RESULT_COLUMNS]
    lines = [
        f"{count_of(result.row_count, 'row')}, {count_of(len(result.columns), 'column')}; all of it is in "
        f"{result.file.name}.",
        *_remarks(result.notes, result.rejected_rows),
        "",
        *_table(
            [column.name for column in shown],
            [[_text(value) for value in row[:MAX_RESULT_COLUMNS]] for row in result.rows],
        ),
    ]
    if result.truncated:
        lines.append(f"\nShown: the first {len(result.rows):,} of {count_of(result.row_count, 'row')}.")
    if len(result.columns) > len(shown):
        lines.append(f"\nThe first {len(shown)} of {len(result.columns):,} columns are shown.")
    return "\n".join(lines)


def _profile_row(column: ColumnProfile, summary: ProfileSummary) -> list[str]:
    estimate = "≈" if summary.estimated else ""
    top = column.top_values[0] if column.top_values else None
    return [
        column.name,
        column.type,
        f"{column.nulls:,}",
        f"{estimate}{column.distinct:,}",
        _text(column.min),
        f"{estimate}{_text(column.quantiles.p50)}" if column.quantiles else "",
        _text(column.max),
        f"{column.mean:.6g}" if column.mean is not None else "",
        f"{_text(top.value)} ({top.share:.1%})" if top else "",
    ]


def _remarks(notes: Iterable[str], rejected: RejectedRows | None) -> list[str]:
    remarks = [f"- {note}" for note in notes]
    if rejected is not None:
        example = rejected.examples[0]
        are = "row was" if rejected.count == 1 else "rows were"
        remarks.append(
            f"- **{rejected.count:,} {are} rejected** and not counted; line {example.line}, for example: "
            f"{example.reason}"
        )
    return ["", *remarks] if remarks else []


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [
        "| " + " | ".join(_cell(text) if text != "---" else text for text in line) + " |" for line in lines
    ]


def _cell(text: str) -> str:
    """One line that cannot end its cell."""
    flat = " ".join(text.split())
    short = flat if len(flat) <= MAX_CELL else flat[: MAX_CELL - 1] + "…"
    return short.replace("\\", "\\\\").replace("|", "\\|")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.12g}"
    return json.dumps(value, ensure_ascii=False)
