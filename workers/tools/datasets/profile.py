"""The profile of a whole dataset, column by column."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from workers.tools.datasets.column import Subject, profile_column
from workers.tools.datasets.engine import out_of_memory
from workers.tools.datasets.load import Dataset, damaged_parquet
from workers.tools.datasets.report import ColumnProfile, ProfileSummary

EXACT_ROWS = 5_000_000
"""Up to here distinct counts and quantiles are exact; beyond, they would take too much memory and time."""

OnColumn = Callable[[int, int, str], object]


def profile(
    dataset: Dataset, on_column: OnColumn, exact_rows: int = EXACT_ROWS
) -> tuple[ProfileSummary, list[ColumnProfile]]:
    """on_column: called before each column with its index, how many there are, and its name.

    Raises ToolError when the dataset turns out to be damaged or does not fit; TaskCancelled.
    """
    engine = dataset.engine
    try:
        (rows,) = engine.row("SELECT count(*) FROM data")
        exact = rows <= exact_rows
        profiles: list[ColumnProfile] = []
        for index, (name, kind) in enumerate(dataset.columns):
            on_column(index, len(dataset.columns), name)
            profiles.append(profile_column(Subject(engine, name, kind, rows, exact)))
    except duckdb.OutOfMemoryException as error:
        raise out_of_memory(engine.limits) from error
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        # A Parquet file can be whole at both ends and broken in the middle.
        raise damaged_parquet(dataset.name, error) from error
    summary = ProfileSummary(
        source=dataset.name,
        format=dataset.format,
        rows=rows,
        columns=len(profiles),
        estimated=not exact,
        rejected_rows=dataset.loaded.rejected,
        notes=dataset.loaded.notes,
    )
    return summary, profiles
