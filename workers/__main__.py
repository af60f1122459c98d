"""`python -m workers`: what `tasks-server worker` becomes, and what an embedded stack runs as a child."""

from __future__ import annotations

import argparse
import sys

from tasks_server.command_line import BUILT_IN, add_work_options, refuse
from tasks_server.errors import ConfigurationError
from tasks_server.event_loop import run_event_loop
from tasks_server.logs import configure_logging
from tasks_server.settings import Settings
from tasks_server.startup import check_database, check_file_roots
from workers.loading import load
from workers.registry import Registry
from workers.scratch import own_scratch
from workers.worker import run_worker


def main() -> None:
    """Work until a signal comes; exit code 2, and a line on stderr, when settings or modules cannot work."""
    arguments = parser().parse_args()
    try:
        settings = Settings.read()
        configure_logging(settings.log_format, "worker")
        check_file_roots(settings)
        registry = load(arguments.tools or [BUILT_IN], arguments.queue)
        if arguments.held:
            sys.stdin.buffer.read()
        run_event_loop(_work(settings, registry, arguments.concurrency))
    except ConfigurationError as error:
        sys.exit(refuse(error))


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m workers", description="Run tools for tasks-server.")
    add_work_options(root, f"offer the tools of this module, file, or {BUILT_IN}; may be repeated")
    root.add_argument("--queue", metavar="NAME", help="the queue of tools that name none themselves")
    root.add_argument("--held", action="store_true", help="begin to work when stdin ends")
    return root


async def _work(settings: Settings, registry: Registry, concurrency: int) -> None:
    await check_database(settings.database_url)
    with own_scratch():
        await run_worker(settings, registry, concurrency=concurrency)


if __name__ == "__main__":
    main()
