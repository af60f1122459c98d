"""What the commands of server and worker have in common. Loads nothing, so that `--help` is quick."""

from __future__ import annotations

import argparse
import sys

from tasks_server.errors import ConfigurationError

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
    number = int(text)
    if not 0 <= number <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"must be 0 (any free one) to {HIGHEST_PORT}")
    return number


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def refuse(error: ConfigurationError) -> int:
    """Say on stderr what is wrong; the exit code."""
    sys.stderr.write("".join(f"tasks-server: {line}\n" for line in str(error).splitlines()))
    return REFUSED
