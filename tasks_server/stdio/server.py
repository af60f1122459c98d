"""The server behind the pipe: everything that takes long to load."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from tasks_server.assembly import Assembly, assemble
from tasks_server.embedded.readiness import NewWorker
from tasks_server.embedded.stack import EmbeddedStack
from tasks_server.protocol.router import Router
from tasks_server.protocol.v2025_11_25.dispatcher import Dispatcher
from tasks_server.protocol.v2026_07_28.dialect import DIALECT
from tasks_server.settings import Settings
from tasks_server.startup import check_database, migrate_database

FIRST_OFFER_SECONDS = 20.0
"""How long a client waits for the first list of tools while their worker starts."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def serving(
    settings: Settings, stack: EmbeddedStack | None
) -> AsyncGenerator[tuple[Router, Dispatcher]]:
    """What answers the requests of either kind of revision; not before the worker of the stack is there.

    Raises ConfigurationError.
    """
    # There is one caller at the other end of a pipe: nobody has to be told apart.
    settings = settings.model_copy(update={"allow_unauthenticated": False})
    async with AsyncExitStack() as resources:
        if stack is None:
            await check_database(settings.database_url)
            assembly = assemble(settings)
            await resources.enter_async_context(assembly.running())
        else:
            await migrate_database(settings.database_url)
            newcomer = NewWorker(settings.database_url)
            resources.push_async_callback(newcomer.close)
            await newcomer.remember_earlier()
            assembly = assemble(settings)
            await resources.enter_async_context(assembly.running())
            if stack.shared.is_first:
                await newcomer.forget_earlier()
            await _until_offered(stack, newcomer, assembly)
        yield Router(assembly.parts, [DIALECT]), Dispatcher(assembly.parts)


async def _until_offered(stack: EmbeddedStack, newcomer: NewWorker, assembly: Assembly) -> None:
    """Let the worker work, and wait until its tools can be listed and called: many clients ask only once."""
    stack.worker.let_work()
    offered = asyncio.create_task(newcomer.manifest())
    try:
        done, _ = await asyncio.wait(
            [offered, stack.working], timeout=FIRST_OFFER_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            log.warning(
                "The worker has not come up within %s s; tools are offered once it has", FIRST_OFFER_SECONDS
            )
    finally:
        offered.cancel()
        await asyncio.wait([offered])
    await assembly.parts.catalog.load()
