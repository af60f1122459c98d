"""The tool's side of the directory in which it and a test leave each other notes."""

from __future__ import annotations

import asyncio
from pathlib import Path


def note(directory: str, file: str, line: str = "") -> None:
    with (Path(directory) / file).open("a") as notes:
        notes.write(line + "\n")


async def until(directory: str, file: str) -> None:
    while not (Path(directory) / file).exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.005)
