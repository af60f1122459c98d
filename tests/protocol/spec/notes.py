"""The test's side of the directory in which it and the tools it calls leave each other notes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Notes:
    path: Path

    @property
    def directory(self) -> dict[str, str]:
        """The argument that tells a tool where they are."""
        return {"directory": str(self.path)}

    def leave(self, name: str) -> None:
        """Let a tool that waits for this note go on."""
        (self.path / name).touch()

    def lines(self, name: str) -> list[str]:
        """What tools have written under this name; none so far is no line."""
        file = self.path / name
        return file.read_text().splitlines() if file.exists() else []

    async def seen(self, name: str) -> list[str]:
        """Wait until a tool has written something under this name."""
        return await wait_until(lambda: self.lines(name), describing=f"a note {name!r} from the tool")
