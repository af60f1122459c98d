"""One DuckDB instance: limited, watched while it works, and locked before it sees a caller's SQL.

The engine works in a thread of its own while the calling thread watches it: it reports progress, notices the
deadline, the size of what is written, and cancellation, and then interrupts the engine.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import duckdb

from workers.errors import TaskCancelled, ToolError
from workers.tools.datasets.limits import Limits, in_words
from workers.tools.datasets.refusal import QueryRefused

logger = logging.getLogger(__name__)

T = TypeVar("T")
OnPercent = Callable[[float], object]
Row = tuple[Any, ...]
Parameters = Sequence[object] | Mapping[str, object]

TICK_SECONDS = 0.05
INTERRUPT_SECONDS = 5.0

_SETTINGS = {
    # Nothing is ever fetched, installed or loaded; Python's variables are not tables.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
    # Files are read once; caching them would only take memory from the query.
    "enable_external_file_cache": False,
}
_SESSION = (
    "SET TimeZone = 'UTC'",
    "SET enable_progress_bar = true",
    "SET enable_progress_bar_print = false",
    "SET progress_bar_time = 0",
)


class Engine:
    """results: the directory that stays writable once the engine is locked."""

    def __init__(self, scratch: Path, limits: Limits) -> None:
        self.scratch = scratch
        self.limits = limits
        self.results = scratch / "results"
        self.results.mkdir()
        self.connection = duckdb.connect(
            ":memory:",
            config={
                **_SETTINGS,
                "memory_limit": f"{limits.engine_memory}B",
                "threads": limits.engine_threads,
                "temp_directory": str(scratch / "spill"),
                "max_temp_directory_size": f"{limits.spill}B",
            },
        )
        for statement in _SESSION:
            self.connection.execute(statement)
        self._cancelled = False
        self._deadline: float | None = None

    def close(self) -> None:
        with contextlib.suppress(duckdb.ResourceInUseException):  # what could not be stopped still uses it
            self.connection.close()

    def cancel(self) -> None:
        """Stop what is running now, from any thread; it raises TaskCancelled where it was started."""
        self._cancelled = True
        with contextlib.suppress(duckdb.Error):  # it is closed already
            self.connection.interrupt()

    def check_cancelled(self) -> None:
        """Raises TaskCancelled once `cancel` was called; for work that is not the engine's own."""
        if self._cancelled:
            raise TaskCancelled

    def lock(self, readable: Sequence[Path] = ()) -> None:
        """From now on: no file but `readable` and the engine's own, no network, no extension, no setting.

        Nothing can undo it within this instance.
        """
        self.connection.execute(f"SET allowed_paths = {_list(readable)}")
        self.connection.execute(f"SET allowed_directories = {_list([self.results])}")
        self.connection.execute("SET allow_extension_repositories = 'forbidden'")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    def allow_seconds(self, seconds: float) -> None:
        """The engine's time limit, from now on; past it, what is running raises QueryRefused."""
        self._deadline = time.monotonic() + seconds

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of one of our own statements, watched."""
        return self.run(lambda: self.connection.execute(sql, parameters).fetchall())

    def row(self, sql: str, parameters: Parameters = ()) -> Row:
        return self.rows(sql, parameters)[0]

    def run(self, work: Callable[[], T], on_percent: OnPercent = lambda _: None) -> T:
        """What `work` returns or raises; it uses the connection in another thread meanwhile.

        on_percent: called in this thread with 0 to 100, never less than before. Whatever it raises stops the
        work and is raised here once the engine has let go.

        Raises TaskCancelled; QueryRefused past the deadline or the size limit of results.
        """
        self.check_cancelled()
        running = _Running(work)
        try:
            self._watch(running, on_percent)
        except BaseException:
            self._interrupt(running)
            if self._cancelled:
                raise TaskCancelled from None
            raise
        try:
            return running.outcome()
        except duckdb.InterruptException:
            self.check_cancelled()  # it may have stopped before the watching thread saw why
            raise

    def _watch(self, running: _Running[Any], on_percent: OnPercent) -> None:
        highest = 0.0
        while not running.finished.wait(TICK_SECONDS):
            self.check_cancelled()
            self._check_limits()
            percent = self.connection.query_progress()
            if percent > highest:
                highest = min(percent, 100.0)
                on_percent(highest)

    def _check_limits(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise QueryRefused(
                "The query took longer than its time limit and was stopped. Aggregate or filter earlier, "
                "avoid cross joins, or allow more with `timeout_seconds`."
            )
        if _size(self.results) > self.limits.result:
            raise QueryRefused(
                f"The result is larger than {in_words(self.limits.result)}, and was stopped. Select fewer "
                "columns, aggregate, or add a LIMIT."
            )

    def _interrupt(self, running: _Running[Any]) -> None:
        """Until it has stopped: an interrupt that comes just before a statement starts is lost.

        The engine may be deaf to all of them. Then it is left behind, and ends with the tool's process.
        """
        patience = time.monotonic() + INTERRUPT_SECONDS
        while not running.finished.is_set():
            if time.monotonic() > patience:
                logger.warning("The engine did not stop within %g s and is left behind", INTERRUPT_SECONDS)
                return
            self.connection.interrupt()
            running.finished.wait(TICK_SECONDS)


class _Running(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.finished = threading.Event()
        threading.Thread(target=self._run, name="duckdb", daemon=True).start()

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as error:  # raised again by `outcome`
            self._error = error
        finally:
            self.finished.set()

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result[0]


def _size(directory: Path) -> int:
    size = 0
    for file in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):  # renamed or removed meanwhile
            size += file.stat().st_size
    return size


def quoted(identifier: str) -> str:
    """An SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def out_of_memory(limits: Limits) -> ToolError:
    return ToolError(
        f"This needs more than the {in_words(limits.engine_memory)} of memory and {in_words(limits.spill)} "
        "of disk that are allowed. Use fewer columns or rows, aggregate before joining, or avoid sorting "
        "everything."
    )


def _list(paths: Sequence[Path]) -> str:
    return "[" + ", ".join(literal(str(path)) for path in paths) + "]"
