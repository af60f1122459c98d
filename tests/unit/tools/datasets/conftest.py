"""Datasets out of real files, opened in a real engine."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb
import pytest

from workers.tools.datasets.limits import Limits
from workers.tools.datasets.load import Dataset, Reading, open_dataset
from workers.tools.sources import SourcePolicy, open_source

Open = Callable[..., AbstractContextManager[Dataset]]


@contextmanager
def dataset_from(
    path: Path, limits: Limits | None = None, reading: Reading | None = None
) -> Generator[Dataset]:
    """The file as a dataset, open as long as the context."""
    with (
        open_source(str(path), SourcePolicy(file_roots=(path.parent,))) as source,
        open_dataset(source, reading or Reading(), limits or Limits(), lambda _: None) as dataset,
    ):
        yield dataset


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """opened(content, name, limits=…, sheet=…, encoding=…, every_sheet=…): the content, or a file, as a dataset."""

    def open_content(
        content: str | bytes | Path,
        name: str = "data.csv",
        *,
        limits: Limits | None = None,
        sheet: str | None = None,
        encoding: str | None = None,
        every_sheet: bool = False,
    ) -> AbstractContextManager[Dataset]:
        path = content if isinstance(content, Path) else tmp_path / name
        if not isinstance(content, Path):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return dataset_from(path, limits, Reading(sheet=sheet, encoding=encoding, every_sheet=every_sheet))

    return open_content


@pytest.fixture(scope="session")
def writer() -> Generator[duckdb.DuckDBPyConnection]:
    """Writes Parquet files, with COPY."""
    with duckdb.connect() as connection:
        yield connection


def contents(dataset: Dataset, table: str = "data") -> list[tuple[object, ...]]:
    """All rows, in the order of the source."""
    return dataset.engine.rows(f'SELECT * FROM "{table}"')
