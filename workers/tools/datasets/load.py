"""From a source to the table `data` in a locked engine."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from workers.tools.datasets.delimited import load_delimited
from workers.tools.datasets.engine import Engine, OnPercent, Row, literal, out_of_memory
from workers.tools.datasets.limits import Limits
from workers.tools.datasets.loaded import Loaded
from workers.tools.datasets.recognise import Format, Recognised, recognise
from workers.tools.datasets.records import load_json
from workers.tools.datasets.refusal import DatasetRefused
from workers.tools.datasets.text import plain_text
from workers.tools.datasets.workbook import load_workbook
from workers.tools.sources import LocalSource


@dataclass(frozen=True, slots=True)
class Reading:
    """How the caller wants the source to be read.

    sheet: of a workbook. every_sheet: whether its other sheets become tables too.
    encoding: of text; None finds it out.
    """

    sheet: str | None = None
    every_sheet: bool = False
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """The table `data` in an engine that can reach nothing else. columns: (name, DuckDB type), in order."""

    engine: Engine
    name: str
    format: Format
    columns: list[tuple[str, str]]
    loaded: Loaded


OnEngine = Callable[[Engine], object]


@contextlib.contextmanager
def open_dataset(
    source: LocalSource,
    reading: Reading,
    limits: Limits,
    on_percent: OnPercent,
    on_engine: OnEngine = lambda _: None,
) -> Generator[Dataset]:
    """Raises DatasetRefused; ToolError when it does not fit; TaskCancelled.

    on_engine: called before anything is read, with the engine to cancel.
    """
    kind = recognise(source)
    with tempfile.TemporaryDirectory(prefix="dataset-") as directory:
        scratch = Path(directory).resolve()
        with contextlib.closing(Engine(scratch, limits)) as engine:
            on_engine(engine)
            try:
                loaded = _load(engine, source, kind, reading, rising(on_percent))
                columns = _columns(engine)
            except duckdb.OutOfMemoryException as error:
                raise out_of_memory(limits) from error
            engine.lock([source.path.resolve()] if kind.format is Format.PARQUET else [])
            yield Dataset(engine, source.name, kind.format, columns, loaded)


def rising(on_percent: OnPercent) -> OnPercent:
    """Passes on only what is more than before: reading may take several attempts, each from the beginning."""
    highest = 0.0

    def report(percent: float) -> None:
        nonlocal highest
        if percent > highest:
            highest = percent
            on_percent(percent)

    return report


def _load(
    engine: Engine, source: LocalSource, kind: Recognised, reading: Reading, on_percent: OnPercent
) -> Loaded:
    if kind.format is Format.PARQUET:
        return _attach_parquet(engine, source)
    if kind.format is Format.XLSX:
        return load_workbook(engine, source.path, reading.sheet, reading.every_sheet, on_percent)
    text = plain_text(
        source, gzipped=kind.gzipped, encoding=reading.encoding, scratch=engine.scratch, limits=engine.limits
    )
    if kind.format is Format.JSON:
        loaded = load_json(engine, text.path, on_percent)
    else:
        delimiter = "\t" if kind.format is Format.TSV else None
        loaded = load_delimited(engine, text.path, delimiter, on_percent)
    loaded.notes[:0] = text.notes
    return loaded


def _attach_parquet(engine: Engine, source: LocalSource) -> Loaded:
    """A view: the file is compressed and columnar already, and loading it would only unpack it."""
    path = literal(str(source.path.resolve()))
    try:
        engine.rows(f"CREATE VIEW data AS SELECT * FROM read_parquet({path})")  # noqa: S608
        engine.rows("SELECT count(COLUMNS(*)) FROM (SELECT * FROM data LIMIT 1)")
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException) as error:
        if "is encrypted" in str(error):
            raise DatasetRefused(f"{source.name} is encrypted. Write it without encryption.") from error
        raise damaged_parquet(source.name, error) from error
    return Loaded()


def damaged_parquet(name: str, error: duckdb.Error) -> DatasetRefused:
    reason = str(error).splitlines()[0].partition(": ")[2] or str(error)
    reason = reason.rpartition(": ")[2] if '"' in reason else reason.partition(" in file")[0]
    return DatasetRefused(f"{name} is damaged: {reason}. Write or download it again.")


def _columns(engine: Engine) -> list[tuple[str, str]]:
    columns: list[Row] = engine.rows("DESCRIBE data")
    if len(columns) > engine.limits.columns:
        raise DatasetRefused(
            f"The dataset has {len(columns):,} columns; at most {engine.limits.columns:,} are accepted. "
            "Send the ones that matter, or the table transposed."
        )
    return [(str(name), str(kind)) for name, kind, *_ in columns]
