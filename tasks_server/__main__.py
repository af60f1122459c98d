"""The console script `tasks-server`. Each command loads what it needs, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks_server.command_line import (
    BUILT_IN,
    add_work_options,
    port,
    positive,
    read_settings,
    refuse,
)
from tasks_server.errors import ConfigurationError, TasksError

if TYPE_CHECKING:
    from tasks_server.settings import Settings


def main() -> None:
    """Run the command and end with its exit code: 2, and a line on stderr, when settings cannot work."""
    arguments = parser().parse_args()
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        code = command(arguments)
    except TasksError as error:
        code = refuse(error)
    sys.exit(code)


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="tasks-server",
        description="An MCP server whose tool calls are durable tasks. Settings come from TASKS_… variables.",
    )
    root.add_argument("--version", action=_Version)
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)

    dev = commands.add_parser("dev", help="server, worker, SQLite and Valkey in one command")
    _add_address(dev)
    add_work_options(dev, "offer also the tools of this module (my_tools or ./my_tools.py); may be repeated")
    dev.add_argument(
        "--data-dir",
        type=Path,
        default=Path(".tasks-server"),
        metavar="DIR",
        help="where everything is kept (default: %(default)s)",
    )
    dev.set_defaults(command=_dev)

    stdio = commands.add_parser(
        "stdio",
        help="for a host that starts its servers itself and speaks MCP with them over stdin and stdout",
    )
    add_work_options(
        stdio, "offer also the tools of this module (my_tools or ./my_tools.py); may be repeated"
    )
    stdio.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where everything is kept; several hosts may share it (default: the user's own)",
    )
    stdio.set_defaults(command=_stdio)

    serve = commands.add_parser("serve", help="a server; start as many as you like")
    _add_address(serve)
    serve.add_argument(
        "--processes",
        type=positive,
        default=1,
        metavar="N",
        help="so many servers under one address, for as many cores (default: %(default)s)",
    )
    serve.add_argument("--listener", type=int, help=argparse.SUPPRESS)  # what `--processes` starts
    serve.set_defaults(command=_serve)

    worker = commands.add_parser("worker", help="a worker; start as many as you like")
    add_work_options(
        worker, f"offer the tools of this module (my_tools, ./my_tools.py or {BUILT_IN}); may be repeated"
    )
    worker.add_argument("--queue", metavar="NAME", help="the queue of tools that name none themselves")
    worker.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="work for the `tasks-server dev` that runs on this directory, with its database and Redis",
    )
    worker.set_defaults(command=_worker)

    migrate = commands.add_parser("migrate", help="bring the database to the shape this version needs")
    migrate.set_defaults(command=_migrate)
    _add_operators_commands(commands)
    return root


def _add_operators_commands(commands: Any) -> None:
    letters = commands.add_parser(
        "dead-letters", help="list the dead letters: tasks that took too many workers down"
    )
    letters.add_argument(
        "--limit", type=positive, default=100, metavar="N", help="at most so many (%(default)s)"
    )
    breakers = commands.add_parser(
        "breakers", help="list the tools that fail, and which are left alone for that"
    )
    show = commands.add_parser("show", help="everything that happened to a task")
    replay = commands.add_parser("replay", help="start what failed or was cancelled again, as a new task")
    for command in (letters, breakers, show):
        command.add_argument("--json", action="store_true", help="for programs")
    for command in (show, replay):
        command.add_argument("task_id", metavar="TASK_ID")
    for command, run in (
        (letters, _dead_letters),
        (breakers, _breakers),
        (show, _show),
        (replay, _replay),
    ):
        command.add_argument(
            "--data-dir",
            type=Path,
            metavar="DIR",
            help="of the `tasks-server dev` that runs on this directory",
        )
        command.set_defaults(command=run)


def _add_address(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", help="address to listen on (default: TASKS_HOST, else 127.0.0.1)")
    command.add_argument("--port", type=port, help="port to listen on (default: TASKS_PORT, else 8000)")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: list[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        sys.stdout.write(f"tasks-server {version('tasks-server')}\n")
        parser.exit()


# The commands import what they need themselves: database, web and schema libraries take a good part of a
# second to load.


def _address(arguments: argparse.Namespace) -> dict[str, Any]:
    named = {"host": arguments.host, "port": arguments.port}
    return {name: value for name, value in named.items() if value is not None}


def _dev(arguments: argparse.Namespace) -> int:
    read_settings("server", **_address(arguments))
    from tasks_server.embedded.dev import DevOptions, dev
    from tasks_server.event_loop import run_event_loop

    tools = (BUILT_IN, *arguments.tools)
    options = DevOptions(arguments.data_dir, tools, arguments.concurrency, _address(arguments))
    return run_event_loop(dev(options))


def _stdio(arguments: argparse.Namespace) -> int:
    from tasks_server.event_loop import run_event_loop
    from tasks_server.stdio.command import StdioOptions, stdio
    from tasks_server.stdio.streams import take_over

    options = StdioOptions(arguments.data_dir, arguments.tools, arguments.concurrency)
    try:
        code = run_event_loop(stdio(options, take_over()))
    except TasksError as error:
        code = refuse(error)
    sys.stderr.flush()
    os._exit(
        code
    )  # a thread may still write to somebody who does not read, or load what nobody needs any more


def _serve(arguments: argparse.Namespace) -> int:
    settings = read_settings("server", **_address(arguments))
    from tasks_server.event_loop import run_event_loop

    if arguments.processes > 1:
        from tasks_server.serve_processes import serve_in_processes

        return run_event_loop(serve_in_processes(settings, arguments.processes))
    from tasks_server.serve import serve

    run_event_loop(serve(settings, arguments.listener))
    return 0


def _worker(arguments: argparse.Namespace) -> int:
    """Become `python -m workers`: this package never imports tool code."""
    settings = read_settings("worker")
    named = [word for module in arguments.tools for word in ("--tools", module)]
    queue = ["--queue", arguments.queue] if arguments.queue else []
    concurrency = ["--concurrency", str(arguments.concurrency)]
    with _joining(arguments.data_dir, settings):
        os.execv(sys.executable, [sys.executable, "-m", "workers", *named, *queue, *concurrency])  # noqa: S606


@contextmanager
def _joining(data_directory: Path | None, settings: Settings) -> Generator[None]:
    """The environment of a worker beside a running `dev`; nothing changes without a data directory."""
    if data_directory is None:
        if not settings.database_url:
            raise ConfigurationError(
                "TASKS_DATABASE_URL is not set. Set it and TASKS_REDIS_URL, or work for a `tasks-server dev` "
                "that runs: --data-dir .tasks-server"
            )
        yield
        return
    from tasks_server.embedded.shared_settings import joined
    from tasks_server.embedded.valkey import valkey_url

    with joined(data_directory, settings) as shared:
        os.environ.update(shared.environment())
        if not shared.values["redis_url"]:
            os.environ["TASKS_REDIS_URL"] = valkey_url(data_directory / "valkey")
        os.set_inheritable(shared.lock, True)  # the worker holds it for as long as it runs
        yield


def _migrate(_: argparse.Namespace) -> int:
    settings = read_settings("server")
    from tasks_server.event_loop import run_event_loop
    from tasks_server.startup import migrate_database

    run_event_loop(migrate_database(settings.database_url))
    return 0


def _dead_letters(arguments: argparse.Namespace) -> int:
    from tasks_server.event_loop import run_event_loop
    from tasks_server.operators.commands import list_dead_letters

    with _record(arguments) as settings:
        run_event_loop(list_dead_letters(settings, limit=arguments.limit, as_json=arguments.json))
    return 0


def _breakers(arguments: argparse.Namespace) -> int:
    from tasks_server.event_loop import run_event_loop
    from tasks_server.operators.commands import list_breakers

    with _record(arguments) as settings:
        run_event_loop(list_breakers(settings, as_json=arguments.json))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from tasks_server.event_loop import run_event_loop
    from tasks_server.operators.commands import show

    with _record(arguments) as settings:
        run_event_loop(show(settings, arguments.task_id, as_json=arguments.json))
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    from tasks_server.event_loop import run_event_loop
    from tasks_server.operators.commands import replay

    with _record(arguments) as settings:
        run_event_loop(replay(settings, arguments.task_id))
    return 0


@contextmanager
def _record(arguments: argparse.Namespace) -> Generator[Settings]:
    """The settings of those who work on the record: the environment's, or those of a running `dev`."""
    from tasks_server.settings import Settings

    with _joining(arguments.data_dir, read_settings("server")):
        yield Settings.read()


if __name__ == "__main__":
    main()
