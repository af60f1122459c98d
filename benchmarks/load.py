"""Load from wrk: as many requests as a server takes, over a number of connections, for some seconds."""

from __future__ import annotations

import asyncio
import re
import resource
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.messages import Message

SCRIPT = Path(__file__).with_name("load.lua")


class WrkMissing(Exception):
    """There is nothing here to make load with."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came back: good and wrong answers, connections that failed, and the latency of the good ones."""

    good: int
    wrong: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    sample: str
    """The first wrong answer."""

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return self.good / self.seconds


def wrk() -> str:
    """Where wrk is. Raises WrkMissing."""
    found = shutil.which("wrk")
    if found is None:
        raise WrkMissing(
            "`make bench` needs wrk, a compiled load generator: install it with `apt-get install wrk`, "
            "`brew install wrk` or the like."
        )
    return found


def allow_files(number: int) -> None:
    """Every connection is an open file, also one of a program that is started from here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(number, 4096), hard), hard))


async def press(
    url: str, messages: Sequence[Message], *, expecting: str, seconds: float, connections: int
) -> Load:
    """Send these messages in turn for so long. expecting: what every good answer contains."""
    allow_files(connections + 500)
    headers = {name: value for name, value in messages[0].headers.items() if name != "Mcp-Name"}
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as directory:
        bodies, heads = Path(directory, "bodies"), Path(directory, "headers")
        lines = [f"@{message.headers.get('Mcp-Name', '')} {message.body.decode()}" for message in messages]
        bodies.write_text("\n".join(lines) + "\n")
        heads.write_text("".join(f"{name}: {value}\n" for name, value in headers.items()))
        options = ("-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "20s", "-s", str(SCRIPT), url)
        process = await asyncio.create_subprocess_exec(
            wrk(), *options, "--", str(bodies), str(heads), expecting,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await process.communicate())[0].decode(errors="replace")
    return _read(output)


def _read(output: str) -> Load:
    figures = re.search(r"^=(\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE)
    sample = re.search(r"^~(.*)$", output, re.MULTILINE)
    if figures is None or sample is None:
        raise RuntimeError(f"wrk has failed:\n{output}")
    good, wrong, failed, duration, p50, p99 = (int(figure) for figure in figures.groups())
    return Load(good, wrong, failed, duration / 1e6, p50 / 1e3, p99 / 1e3, sample[1])
