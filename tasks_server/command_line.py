"""What the commands of server and worker have in common. Loads nothing, so that `--help` is quick."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from tasks_server.errors import TasksError

if TYPE_CHECKING:
    from tasks_server.settings import Settings

log = logging.getLogger(__name__)

PREFIX = "TASKS_"
# The exit code of a command whose settings, arguments or modules are wrong: trying again changes nothing.
REFUSED = 2
DEFAULT_CONCURRENCY = 10
HIGHEST_PORT = 65535
# Stands for all built-in tools whose packages are installed.
BUILT_IN = "built-in"


def add_work_options(command: argparse.ArgumentParser, tools_help: str) -> None:
    command.add_argument("--tools", action="append", default=[], metavar="MODULE", help=tools_help)
    command.add_argument(
        "--concurrency",
        type=positive,
        default=DEFAULT_CONCURRENCY,
        metavar="N",
        help="how many tasks run at a time (default: %(default)s)",
    )


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"must be 0 (any free one) to {HIGHEST_PORT}, not {text!r}")
    return int(text)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, not {text!r}")
    return int(text)


def read_settings(process: Literal["server", "worker"], **overrides: Any) -> Settings:
    """The settings of this process, whose log lines go to stderr from now on. Raises ConfigurationError."""
    from tasks_server.logs import configure_logging
    from tasks_server.settings import Settings

    settings = Settings.read(**overrides)
    configure_logging(settings.log_format, process)
    warn_of_unknown_settings(os.environ, Settings.model_fields)
    return settings


def warn_of_unknown_settings(environment: Iterable[str], fields: Iterable[str]) -> None:
    """Log the variables that look like settings and are none: each is probably a misspelt one."""
    known = [field.upper() for field in fields]
    for variable in sorted(environment):
        name = variable.upper().removeprefix(PREFIX)
        if name != variable.upper() and name not in known:
            meant = "".join(
                f"; {PREFIX}{near} is one" for near in difflib.get_close_matches(name, known, n=1)
            )
            log.warning("%s is no setting and has no effect%s", variable, meant)


def refuse(error: TasksError) -> int:
    """Say on stderr what is wrong; the exit code."""
    sys.stderr.write("".join(f"tasks-server: {line}\n" for line in str(error).splitlines()))
    return REFUSED
