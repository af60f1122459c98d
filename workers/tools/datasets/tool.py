"""The tools `profile_dataset` and `query_dataset`. Importing this loads neither the engine nor the drawing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tasks_server.settings import Settings
from workers import Reply, SyncTaskContext, tool
from workers.tools.datasets.limits import PROCESS_MEMORY, Limits
from workers.tools.datasets.markdown import profile_markdown, query_markdown
from workers.tools.datasets.report import (
    ColumnProfile,
    DatasetProfile,
    FullProfile,
    ProfileSummary,
    QueryResult,
)
from workers.tools.sources import SourcePolicy, open_source

if TYPE_CHECKING:
    from mcp_types import ImageContent

    from workers.tools.datasets.load import Dataset, Reading

INLINE_PANELS = 24
MAX_PANELS = 100
DETAILED_COLUMNS = 50
INLINE_COLUMNS = 300
BRIEF_TOP_VALUES = 3

ANNOTATIONS = {"readOnlyHint": True, "idempotentHint": True, "openWorldHint": True}

Source = Annotated[
    str,
    Field(
        min_length=1,
        description="The dataset: a file path under the server's file roots, a data: URI with the content, or an "
        "https: URL if the server fetches those. CSV, TSV, JSON, JSON Lines (each also gzipped), Parquet or XLSX.",
    ),
]
Sheet = Annotated[str | None, Field(description="The worksheet of a workbook; the first one when left out.")]
Encoding = Annotated[
    str | None, Field(description="The encoding of a text file, such as cp1252; found out when left out.")
]
Sql = Annotated[
    str,
    Field(
        description="One SELECT (or WITH … SELECT) in DuckDB's SQL. The dataset is the table `data`; of a "
        "workbook, every sheet is also a table under its own name unless `sheet` is given."
    ),
]
ResultFormat = Annotated[
    Literal["parquet", "csv"], Field(description="The kind of file the whole result becomes.")
]
PreviewRows = Annotated[int, Field(ge=0, le=200, description="How many rows to return inline.")]
TimeoutSeconds = Annotated[int, Field(ge=1, le=1500, description="How long the query may run.")]


@tool(
    title="Profile a dataset",
    timeout="30m",
    retries=2,
    runs_in="process",
    memory=PROCESS_MEMORY,
    annotations=ANNOTATIONS,
)
def profile_dataset(
    ctx: SyncTaskContext, source: Source, sheet: Sheet = None, encoding: Encoding = None
) -> Reply[DatasetProfile]:
    """Say what a table holds: per column its type, nulls, distinct values, range, quantiles and top values.

    Returns the profile, a chart of all distributions, and both as files. Rows that do not fit the table are
    counted and shown, not dropped silently.
    """
    # The engine and the drawing weigh a hundred megabytes; only the subprocess that works loads them.
    from workers.tools.datasets.chart.sheet import as_png, draw_sheet
    from workers.tools.datasets.load import Reading
    from workers.tools.datasets.profile import profile

    reading = Reading(sheet=sheet, encoding=encoding)
    with _opened(
        ctx, source, reading, lambda percent, what: ctx.progress(percent / 100, message=what)
    ) as dataset:
        steps = len(dataset.columns) + 2
        summary, columns = profile(
            dataset,
            lambda index, count, name: ctx.progress(
                index + 1, steps, f"Column {index + 1} of {count}: {name}"
            ),
        )
    ctx.progress(steps - 1, steps, "Drawing the chart")
    stem = PurePath(summary.source).stem or "dataset"
    image = draw_sheet(summary, columns, MAX_PANELS)
    chart = ctx.artifact(f"{stem}-profile.png", as_png(image), "image/png")
    inline = image if len(columns) <= INLINE_PANELS else draw_sheet(summary, columns, INLINE_PANELS)
    full = FullProfile(**summary.model_dump(), column_profiles=columns)
    stored = ctx.artifact(f"{stem}-profile.json", full.model_dump_json(indent=1), "application/json")
    ctx.progress(steps, steps, "Profiled")
    found = DatasetProfile(
        **_noted(summary).model_dump(), column_profiles=_brief(columns), chart=chart, profile=stored
    )
    return Reply(
        found, profile_markdown(summary, columns), _image(as_png(inline, as_laid_out=True)), chart, stored
    )


@tool(
    title="Query a dataset with SQL",
    timeout="30m",
    retries=2,
    runs_in="process",
    memory=PROCESS_MEMORY,
    annotations=ANNOTATIONS,
)
def query_dataset(
    ctx: SyncTaskContext,
    source: Source,
    sql: Sql,
    result_format: ResultFormat = "parquet",
    preview_rows: PreviewRows = 20,
    timeout_seconds: TimeoutSeconds = 300,
    sheet: Sheet = None,
    encoding: Encoding = None,
) -> Reply[QueryResult]:
    """Run one SELECT over a table with DuckDB.

    Returns the first rows and a file with all of them. The query can reach nothing but the dataset: no other
    files, no network, no settings. An error names the columns, so that the query can be repaired.
    """
    # As above.
    from workers.tools.datasets.load import Reading
    from workers.tools.datasets.query import run_query

    reading = Reading(sheet=sheet, encoding=encoding, every_sheet=True)
    with _opened(
        ctx, source, reading, lambda percent, what: ctx.progress(percent * 0.3, 100, what)
    ) as dataset:
        ctx.progress(30, 100, "Running the query")
        dataset.engine.allow_seconds(timeout_seconds)
        answer = run_query(
            dataset,
            sql,
            result_format,
            preview_rows,
            on_percent=lambda percent: ctx.progress(30 + percent * 0.65, 100, "Running the query"),
        )
        ctx.progress(96, 100, "Saving the result")
        name = f"{PurePath(dataset.name).stem or 'dataset'}-result.{result_format}"
        file = ctx.artifact(name, answer.file, MIME_TYPES[result_format])
        ctx.progress(100, 100, "Done")
        result = QueryResult(
            row_count=answer.row_count,
            columns=answer.columns,
            rows=answer.rows,
            truncated=answer.truncated,
            file=file,
            rejected_rows=dataset.loaded.rejected,
            notes=dataset.loaded.notes,
        )
    return Reply(result, query_markdown(result), file)


MIME_TYPES = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv"}


@contextmanager
def _opened(
    ctx: SyncTaskContext, source: str, reading: Reading, on_read: Callable[[float, str], None]
) -> Generator[Dataset]:
    """on_read: what percentage of it has been read, and what to say meanwhile."""
    # As above.
    from workers.tools.datasets.load import open_dataset

    with (
        open_source(source, SourcePolicy.from_settings(Settings.read())) as local,
        open_dataset(
            local,
            reading,
            Limits(),
            on_percent=lambda percent: on_read(percent, f"Reading {local.name}"),
            on_engine=lambda engine: ctx.on_cancel(engine.cancel),
        ) as dataset,
    ):
        yield dataset


def _brief(columns: list[ColumnProfile]) -> list[ColumnProfile]:
    """What of the profile is returned inline; all of it is in the file."""
    if len(columns) <= DETAILED_COLUMNS:
        return columns
    return [
        column.model_copy(update={"histogram": None, "top_values": column.top_values[:BRIEF_TOP_VALUES]})
        for column in columns[:INLINE_COLUMNS]
    ]


def _noted(summary: ProfileSummary) -> ProfileSummary:
    if summary.columns <= DETAILED_COLUMNS:
        return summary
    shown = min(summary.columns, INLINE_COLUMNS)
    note = f"{shown:,} of {summary.columns:,} columns are described here, without histograms; the JSON file has all."
    return summary.model_copy(update={"notes": [*summary.notes, note]})


def _image(png: bytes) -> ImageContent:
    # Only the subprocess needs the wire types.
    from mcp_types import ImageContent

    return ImageContent(type="image", data=base64.b64encode(png).decode(), mime_type="image/png")
