"""Run one SELECT over a dataset: the whole result as a file, its first rows as values.

The result is written once, as Parquet, which keeps its types; what is shown, counted or turned into CSV is
read back from there. So the query runs once, and results that do not fit into memory are no special case.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import orjson

from workers.tools.datasets.engine import Engine, OnPercent, literal, out_of_memory, quoted
from workers.tools.datasets.load import Dataset
from workers.tools.datasets.names import distinct_names
from workers.tools.datasets.query_error import explained
from workers.tools.datasets.refusal import QueryRefused
from workers.tools.datasets.report import ResultColumn
from workers.tools.datasets.statement import one_select
from workers.tools.datasets.values import as_json, is_nested, selectable, short_type

ResultFormat = Literal["parquet", "csv"]


@dataclass(frozen=True, slots=True)
class Answer:
    """file: lies in the engine's scratch directory. rows: the first ones, as JSON values."""

    columns: list[ResultColumn]
    row_count: int
    rows: list[list[Any]]
    file: Path

    @property
    def truncated(self) -> bool:
        return len(self.rows) < self.row_count


def run_query(
    dataset: Dataset, sql: str, result_format: ResultFormat, preview_rows: int, on_percent: OnPercent
) -> Answer:
    """on_percent: what the engine says of its progress.

    Raises QueryRefused when it is not one SELECT, fails, takes too long, or gives too much; ToolError when it
    needs too much memory; TaskCancelled.
    """
    engine = dataset.engine
    written = engine.results / "result.parquet"
    try:
        select = one_select(engine, sql)
        # Nothing a query does may outlast it, not even in memory.
        engine.rows("BEGIN TRANSACTION READ ONLY")
        columns = engine.run(lambda: _write(engine, select, written), on_percent)
    except duckdb.OutOfMemoryException as error:
        raise out_of_memory(engine.limits) from error
    except duckdb.Error as error:
        raise explained(error, dataset) from error
    finally:
        with contextlib.suppress(duckdb.Error):  # none was begun
            engine.connection.rollback()
    source = f"read_parquet({literal(str(written))})"
    (row_count,) = engine.row(f"SELECT count(*) FROM {source}")  # noqa: S608
    rows = _preview(engine, source, columns, preview_rows)
    file = written if result_format == "parquet" else _as_csv(engine, source, columns)
    shown = [ResultColumn(name=column.name, type=short_type(column.type)) for column in columns]
    return Answer(shown, row_count, rows, file)


def _write(engine: Engine, select: str, path: Path) -> list[ResultColumn]:
    relation = engine.connection.sql(select)
    if len(relation.columns) > engine.limits.columns:
        raise QueryRefused(
            f"The result has {len(relation.columns):,} columns; at most {engine.limits.columns:,} are accepted. "
            "Select the ones that matter, or UNPIVOT."
        )
    names = distinct_names(str(name) or "column" for name in relation.columns)
    columns = [
        ResultColumn(name=name, type=str(kind)) for name, kind in zip(names, relation.types, strict=True)
    ]
    selected = ", ".join(
        f"{_storable(f'#{index}', column.type)} AS {quoted(column.name)}"
        for index, column in enumerate(columns, 1)
    )
    relation.project(selected).write_parquet(str(path), compression="zstd")
    return columns


def _storable(value: str, kind: str) -> str:
    """Parquet has no integers beyond 64 bits (DuckDB would write rounded numbers) and no unions."""
    if kind == "HUGEINT":
        return f"CAST({value} AS DECIMAL(38, 0))"
    if kind in ("UHUGEINT", "BIGNUM"):
        return f"CAST({value} AS VARCHAR)"
    if kind.startswith(("UNION(", "TUPLE(")):
        return f"to_json({value})"
    return value


def _preview(engine: Engine, source: str, columns: list[ResultColumn], limit: int) -> list[list[Any]]:
    """The first rows, as many as fit into the preview's limit."""
    shown = ", ".join(selectable(quoted(column.name), _stored_type(column.type)) for column in columns)
    rows: list[list[Any]] = []
    room = engine.limits.preview
    for row in engine.rows(f"SELECT {shown} FROM {source} LIMIT {limit}"):  # noqa: S608
        values = [
            as_json(value, _stored_type(column.type)) for value, column in zip(row, columns, strict=True)
        ]
        room -= len(orjson.dumps(values))
        if room < 0:
            break
        rows.append(values)
    return rows


def _stored_type(kind: str) -> str:
    if kind == "HUGEINT":
        return "DECIMAL(38,0)"
    return "JSON" if kind.startswith(("UNION(", "TUPLE(")) else kind


def _as_csv(engine: Engine, source: str, columns: list[ResultColumn]) -> Path:
    """Lists and objects are JSON in it."""
    path = engine.results / "result.csv"
    written = ", ".join(
        f"to_json({quoted(column.name)}) AS {quoted(column.name)}"
        if is_nested(column.type)
        else quoted(column.name)
        for column in columns
    )
    engine.rows(f"COPY (SELECT {written} FROM {source}) TO {literal(str(path))} (FORMAT csv, HEADER)")  # noqa: S608
    return path
