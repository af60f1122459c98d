"""JSON Lines, and JSON files that are one array or one object."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import orjson

from workers.tools.datasets.engine import Engine, OnPercent, literal
from workers.tools.datasets.loaded import Loaded, RejectedRow, RejectedRows
from workers.tools.datasets.refusal import DatasetRefused

EXAMPLES = 5
REPAIR = "Repair it there, or write or download it again: an array of objects, or an object a line."


def load_json(engine: Engine, path: Path, on_percent: OnPercent) -> Loaded:
    """The table `data` out of a UTF-8 file: a column per key.

    JSON Lines with broken lines lose those lines, which are counted. Raises DatasetRefused.
    """
    try:
        _read(engine, path, on_percent)
    except duckdb.InvalidInputException as error:
        if not _looks_like_lines(path):
            raise DatasetRefused(f"The JSON is not valid: {_reason(error)} {REPAIR}") from error
        return _load_valid_lines(engine, path, on_percent, error)
    return Loaded()


def _load_valid_lines(engine: Engine, path: Path, on_percent: OnPercent, first: duckdb.Error) -> Loaded:
    copy = engine.scratch / "valid.jsonl"
    with copy.open("wb") as target:
        rejected = _copy_valid(path, target.write)
    if not copy.stat().st_size:
        raise DatasetRefused(f"No line of the file is valid JSON: {_reason(first)} {REPAIR}") from first
    try:
        _read(engine, copy, on_percent)
    except duckdb.InvalidInputException as error:
        raise DatasetRefused(f"The JSON cannot be read as a table: {_reason(error)} {REPAIR}") from error
    return Loaded(rejected=rejected if rejected.count else None)


def _read(engine: Engine, path: Path, on_percent: OnPercent) -> None:
    reader = f"read_json({literal(str(path))}, sample_size = -1"
    engine.run(_creating(engine, f"{reader})"), on_percent)
    columns = engine.rows("DESCRIBE data")
    if len(columns) == 1 and columns[0][0] == "json" and str(columns[0][1]).startswith("MAP("):
        # Records that share few keys were taken for one map; here every key is a column.
        engine.run(_creating(engine, f"{reader}, map_inference_threshold = -1)"))


def _creating(engine: Engine, reader: str) -> Callable[[], object]:
    statement = f"CREATE OR REPLACE TABLE data AS SELECT * FROM {reader}"  # noqa: S608
    return lambda: engine.connection.execute(statement).fetchall()


def _looks_like_lines(path: Path) -> bool:
    """Whether most of the first lines are JSON values of their own."""
    with path.open("rb") as file:
        lines = [line for line in itertools.islice(file, 50) if line.strip()]
    valid = sum(_parsed(line) is not None for line in lines)
    return valid > 0 and valid * 2 >= len(lines)


def _parsed(line: bytes) -> bytes | None:
    """The line as normal JSON (the last of two equal keys wins), or None."""
    try:
        return orjson.dumps(orjson.loads(line))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # broken, or nested too deeply
        return None


def _copy_valid(path: Path, write: Callable[[bytes], object]) -> RejectedRows:
    rejected = RejectedRows(count=0, examples=[])
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            parsed = _parsed(line)
            if parsed is not None:
                write(parsed + b"\n")
                continue
            rejected.count += 1
            if len(rejected.examples) < EXAMPLES:
                text = line[:120].decode(errors="replace").strip()
                rejected.examples.append(RejectedRow(line=number, reason="Not valid JSON", text=text))
    return rejected


def _reason(error: duckdb.Error) -> str:
    """DuckDB's first line, without the name of a file that is ours."""
    text = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
    return re.sub(r" in file \"[^\"]*\",?", "", text).strip().rstrip(".") + "."
