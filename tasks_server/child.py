"""Child processes that never outlive their parent."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

TETHER = Path(__file__).with_name("tether.py")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
LIVED_LONG_SECONDS = 30.0

log = logging.getLogger(__name__)


class Child:
    """A running child process, in a group of its own: Ctrl-C in a terminal reaches only its parent."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def spawn(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        output: IO[bytes] | None = None,
        held: bool = False,
    ) -> Child:
        """Start a command that is killed with this process, however this process ends.

        environment replaces the inherited one; output takes stdout and stderr, which are inherited otherwise.
        held: its stdin does not end before `release`.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "The kernel ties a child to the thread that starts it: that must be the main one."
            )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(TETHER), str(os.getpid())),
            *command,
            env=environment,
            pass_fds=tuple(pass_fds),
            stdin=asyncio.subprocess.PIPE if held else asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        child = cls(process)
        _running.add(child)
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.returncode

    def release(self) -> None:
        """Let a held child read the end of its stdin."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def wait(self) -> int:
        """Wait for its end; the exit code, negative if a signal ended it."""
        code = await self._process.wait()
        _running.discard(self)
        return code

    async def stop(self, grace_seconds: float) -> None:
        """Ask it to end, and kill it if it has not after the grace period."""
        if not self.is_running:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                await self.wait()
        except TimeoutError:
            self.kill()
            await self.wait()

    def kill(self) -> None:
        """End it and everything in its process group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


async def kept_running(
    start: Callable[[], Awaitable[Child]],
    name: str,
    refused: int,
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
) -> int:
    """Start another one whenever one ends, after a pause that grows while they do not live long.

    Returns only if the very first ends with the exit code `refused`, and then that.
    """
    pause, has_worked = FIRST_PAUSE_SECONDS, False
    now = asyncio.get_running_loop().time
    while True:
        began = now()
        code = await (await start()).wait()
        if code == refused and not has_worked:
            return code
        has_worked = True
        if now() - began > LIVED_LONG_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        log.warning("%s %s; starting it again in %s s", name, how, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest_pause_seconds)


_running: set[Child] = set()


def kill_children() -> None:
    """End everything that this process has started, at once."""
    for child in _running:
        child.kill()
