"""Loading what takes long while the event loop goes on."""

from __future__ import annotations

import asyncio
import importlib
import threading


async def loaded(module: str) -> None:
    """Import the module in a thread. Whoever imports it afterwards has it at once.

    A thread of its own, because nobody waits for it when the process ends.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if done.done():  # nobody waits any more
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        error: BaseException | None = None
        try:
            importlib.import_module(module)
        except BaseException as raised:
            error = raised
        loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=work, name=f"loading {module}", daemon=True).start()
    await done
