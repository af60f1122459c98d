"""What stands behind the pipe: the embedded stack of `dev`, or the database and Redis that the settings name."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tasks_server.command_line import BUILT_IN, read_settings
from tasks_server.embedded.data_directory import users_own
from tasks_server.embedded.stack import EmbeddedStack, StackOptions, embedded_stack
from tasks_server.errors import ConfigurationError
from tasks_server.loading import loaded
from tasks_server.settings import Settings
from tasks_server.transport.stdio import StdioConnection

if TYPE_CHECKING:
    from tasks_server.stdio.command import StdioOptions

# Hosts wait some two seconds between closing the pipe and a signal; handing work back loses none of it.
SHUTDOWN_GRACE_SECONDS = 0.3

log = logging.getLogger(__name__)


async def stand_behind(
    options: StdioOptions,
    connection: StdioConnection,
    leaving: asyncio.Event,
    close: Callable[[], Awaitable[None]],
) -> int:
    """Start everything, let the connection be served until `leaving`, close it and end everything; the exit code.

    Raises ConfigurationError.
    """
    given = read_settings("server")
    connection.limit_lines(given.max_request_bytes)
    if given.database_url and given.redis_url:
        return await _serve(_for_production(options, given), None, connection, leaving, close)
    async with embedded_stack(_stack_options(options), given) as stack:
        settings = Settings.read()
        roots = ", ".join(map(str, settings.file_roots))
        log.info(
            "Data is kept in %s; tools may read %s", stack.data.path, roots or "no files (TASKS_FILE_ROOTS)"
        )
        return await _serve(settings, stack, connection, leaving, close)


async def _serve(
    settings: Settings,
    stack: EmbeddedStack | None,
    connection: StdioConnection,
    leaving: asyncio.Event,
    close: Callable[[], Awaitable[None]],
) -> int:
    await loaded("tasks_server.stdio.server")
    from tasks_server.stdio.server import serving

    async with serving(settings, stack) as answering:
        connection.serve(*answering)
        working = [] if stack is None else [stack.working]
        told = asyncio.create_task(leaving.wait())
        await asyncio.wait([told, *working], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if stack is None:
            await close()
            return 0
        code = stack.working.result() if stack.working.done() else 0
        await asyncio.gather(close(), stack.worker.stop())
        return code


def _stack_options(options: StdioOptions) -> StackOptions:
    # Hosts start us wherever they please, so what tools may read is never where we stand.
    return StackOptions(
        options.data_directory or users_own(),
        (BUILT_IN, *options.tools),
        options.concurrency,
        file_roots=(),
        shutdown_grace_seconds=SHUTDOWN_GRACE_SECONDS,
    )


def _for_production(options: StdioOptions, given: Settings) -> Settings:
    for option, value in (("--tools", options.tools), ("--data-dir", options.data_directory)):
        if value:
            raise ConfigurationError(
                f"{option} has no effect: TASKS_DATABASE_URL and TASKS_REDIS_URL are set, so the work is done by "
                "workers that are started elsewhere. Leave it out, or leave one of them unset."
            )
    if given.secret_key.get_secret_value():
        return given
    # What is sealed comes back over the same pipe, so the key may live as long as that.
    return Settings.read(secret_key=secrets.token_hex(32))
