"""The tool's side of the directory in which it and a test leave each other notes."""

from __future__ import annotations

import asyncio
from pathlib import Path


def note(directory: str, file: str, line: str = "") -> None:
    with (Path(directory) / file).open("a") as notes:
        notes.write(line + "\n")


def has_come(directory: str, file: str) -> bool:
    return (Path(directory) / file).exists()


async def until(directory: str, file: str) -> None:
    while not has_come(directory, file):  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.005)
