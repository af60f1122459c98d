"""What the processes write about themselves: one line an event, for people or for machines."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Literal

# Libraries that tell more about themselves than an operator wants to know.
QUIET = ("alembic", "arq", "asyncio", "httpx", "sse_starlette", "uvicorn")
# What strangers send is answered, and nothing an operator could act on: uvicorn warns of every malformed request.
SILENT = ("uvicorn.error",)
# Of a traceback, at each end: a parser that recursed too deeply would fill the log with thousands.
LINES = 60
LINE_CHARACTERS = 10_000
# What every LogRecord has; the rest came in through `extra=` and is data.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def configure_logging(log_format: Literal["text", "json"], process: str) -> None:
    """Send this process's log lines to stderr. process: "server" or "worker", which is named in each line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process) if log_format == "json" else TextLines(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)


class Formatter(logging.Formatter):
    """Shortens tracebacks."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging calls it so
        lines = super().formatException(ei).splitlines()
        left_out = len(lines) - 2 * LINES
        if left_out <= 0:
            return "\n".join(lines)
        return "\n".join([*lines[:LINES], f"  … {left_out} lines …", *lines[-LINES:]])


class TextLines(Formatter):
    """`14:03:59 warning worker: Redis is not reachable`.

    Further lines of a message are indented and control characters are shown as escapes, so that nothing a
    stranger has sent can pass for a line of ours, or speak to the terminal.
    """

    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {process}: %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.levelname = record.levelname.lower()
        first, *rest = super().format(record).splitlines()
        return "\n".join([_shown(first), *(f"  {_shown(line)}" for line in rest)])


def _shown(line: str) -> str:
    if len(line) > LINE_CHARACTERS:
        line = f"{line[:LINE_CHARACTERS]} … {len(line) - LINE_CHARACTERS:,} characters"
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)


class JsonLines(Formatter):
    """An object a line: `at` (UTC), `level`, `process`, `logger`, `message`, and what `extra=` held."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "at": f"{at}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
