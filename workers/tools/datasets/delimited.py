"""CSV and TSV: every row is either in the table or counted as rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from workers.tools.datasets.dialect import Dialect, find_dialect
from workers.tools.datasets.engine import Engine, OnPercent, literal
from workers.tools.datasets.limits import in_words
from workers.tools.datasets.loaded import Loaded, RejectedRow, RejectedRows
from workers.tools.datasets.refusal import DatasetRefused
from workers.tools.datasets.text import unify_newlines
from workers.units import count_of

EXAMPLES = 5
MAX_LINE_BYTES = 8 * 1024 * 1024

Options = dict[str, str]


def load_delimited(engine: Engine, path: Path, delimiter: str | None, on_percent: OnPercent) -> Loaded:
    """The table `data` out of a UTF-8 file.

    Types are found by looking at every row, so a late surprise widens its column instead of losing rows.
    Raises DatasetRefused when no attempt gives a table.
    """
    dialect = find_dialect(path, delimiter)
    failure: duckdb.Error | None = None
    for read_from, options, note in _attempts(path, engine.scratch, dialect):
        try:
            engine.run(_reading(engine, read_from(), options), on_percent)
        except duckdb.InvalidInputException as error:
            failure = error
            continue
        loaded = Loaded(rejected=_rejected(engine))
        if dialect.preamble:
            loaded.notes.append(
                "The first line was skipped: it stands above the table."
                if dialect.preamble == 1
                else f"The first {dialect.preamble} lines were skipped: they stand above the table."
            )
        if note:
            loaded.notes.append(note)
        _check_anything_was_read(engine, loaded)
        return loaded
    if "Maximum line size" in str(failure):
        raise DatasetRefused(
            f"The file has a line of more than {in_words(MAX_LINE_BYTES)}, which is no table's row. Check that "
            "its quotation marks are closed."
        )
    reason = str(failure).splitlines()[0].removeprefix("Invalid Input Error: ")
    raise DatasetRefused(
        f"The file cannot be read as delimited text: {reason.rstrip('.')}. Check what separates the "
        "fields and that quotation marks are closed, or write it again."
    )


def _attempts(
    path: Path, scratch: Path, dialect: Dialect
) -> Iterator[tuple[Callable[[], Path], Options, str | None]]:
    """From the strictest reading to the most forgiving one."""
    fixed = {"delim": literal(dialect.delimiter), "skip": str(dialect.preamble)}
    strict = {**fixed, "quote": "'\"'", "escape": "'\"'"}
    yield (lambda: path), strict, None
    with path.open("rb") as file:
        mixed_newlines = b"\r" in file.read(4 * 1024 * 1024)
    lines = (lambda: unify_newlines(path, scratch)) if mixed_newlines else (lambda: path)
    if mixed_newlines:
        yield lines, strict, None
    yield lines, fixed, "Some quotation marks are not closed; they were read as ordinary characters."


def _reading(engine: Engine, path: Path, options: Options) -> Callable[[], object]:
    every = {
        **options,
        "sample_size": "-1",
        "store_rejects": "true",
        "max_line_size": str(MAX_LINE_BYTES),
    }
    written = ", ".join(f"{name} = {value}" for name, value in every.items())
    statement = f"CREATE OR REPLACE TABLE data AS SELECT * FROM read_csv({literal(str(path))}, {written})"  # noqa: S608

    def read() -> object:
        for table in ("reject_errors", "reject_scans"):
            engine.connection.execute(f"DROP TABLE IF EXISTS {table}")
        return engine.connection.execute(statement).fetchall()

    return read


def _rejected(engine: Engine) -> RejectedRows | None:
    # A quotation mark that is never closed takes the lines after it along.
    (count,) = engine.row(
        "SELECT coalesce(sum(lines), 0)::BIGINT FROM (SELECT max(CASE error_type WHEN 'UNQUOTED VALUE' "
        "THEN length(string_split(rtrim(csv_line, chr(10)), chr(10))) ELSE 1 END) AS lines "
        "FROM reject_errors GROUP BY line)"
    )
    if not count:
        return None
    examples = engine.rows(
        "SELECT line, any_value(error_message ORDER BY error_type = 'CAST', error_message), "
        "any_value(left(csv_line, 120)) FROM reject_errors GROUP BY line ORDER BY line LIMIT ?",
        [EXAMPLES],
    )
    return RejectedRows(
        count=count,
        examples=[RejectedRow(line=line, reason=reason, text=text) for line, reason, text in examples],
    )


def _check_anything_was_read(engine: Engine, loaded: Loaded) -> None:
    (rows,) = engine.row("SELECT count(*) FROM data")
    if rows or loaded.rejected is None:
        return
    example = loaded.rejected.examples[0]
    raise DatasetRefused(
        f"None of {count_of(loaded.rejected.count, 'row')} could be read. Line {example.line}: "
        f"{example.reason.rstrip('.')}. "
        "Check that the header has as many fields as the rows, and what separates the fields."
    )
