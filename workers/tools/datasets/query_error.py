"""DuckDB's errors, so that a model can repair its query: the hint, the place, and what there is to query."""

from __future__ import annotations

import re

import duckdb

from workers.tools.datasets.engine import quoted
from workers.tools.datasets.load import Dataset
from workers.tools.datasets.refusal import QueryRefused
from workers.tools.datasets.values import short_type

MAX_COLUMNS = 100
MAX_MESSAGE = 2_000

_ABOUT_NAMES = (duckdb.BinderException, duckdb.CatalogException)


def explained(error: duckdb.Error, dataset: Dataset) -> QueryRefused:
    """The error to show for what DuckDB raised."""
    if isinstance(error, duckdb.PermissionException):
        return QueryRefused(
            f"{_message(error, dataset)}\n\nA query can reach nothing but {_tables(dataset)}: no other files, "
            "URLs, extensions or settings."
        )
    if isinstance(error, duckdb.TransactionException):
        return QueryRefused("A query cannot change anything; only a SELECT is accepted.")
    message = _about_tables(_message(error, dataset), dataset)
    if isinstance(error, _ABOUT_NAMES):
        message += f"\n\n{_columns(dataset)}"
    return QueryRefused(message)


def _message(error: duckdb.Error, dataset: Dataset) -> str:
    """DuckDB's own words without directories of ours."""
    text = str(error).replace(str(dataset.engine.scratch), "…")
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def _about_tables(message: str, dataset: Dataset) -> str:
    """For a missing table DuckDB also proposes tables of its own, which nobody meant."""
    proposed = re.search(r'\nDid you mean "([^"]+)"\?', message)
    tables = dataset.loaded.tables
    if proposed is None or not message.startswith("Catalog Error: Table with name") or proposed[1] in tables:
        return message
    instead = f'\nDid you mean "{tables[0]}"?' if len(tables) == 1 else ""
    return message.replace(proposed[0], instead)


def _tables(dataset: Dataset) -> str:
    tables = [name if re.fullmatch(r"[a-z_]+", name) else quoted(name) for name in dataset.loaded.tables]
    return f"the table {tables[0]}" if len(tables) == 1 else f"the tables {', '.join(tables)}"


def _columns(dataset: Dataset) -> str:
    shown = [f"{quoted(name)} {short_type(kind)}" for name, kind in dataset.columns[:MAX_COLUMNS]]
    more = len(dataset.columns) - len(shown)
    rest = f", and {more:,} more" if more else ""
    others = f"\nThere are {_tables(dataset)}." if len(dataset.loaded.tables) > 1 else ""
    return f"Columns of data: {', '.join(shown)}{rest}.{others}"
