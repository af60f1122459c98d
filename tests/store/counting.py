"""What a process really sends to its database."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.store.overhearing import overhearing
from tests.store.record import Record


@dataclass
class Traffic:
    """Statements in order, and how many transactions were committed."""

    statements: list[str] = field(default_factory=list[str])
    commits: int = 0

    def count(self, part: str) -> int:
        """How many statements have this in them."""
        return sum(part in statement for statement in self.statements)


@contextmanager
def traffic(record: Record) -> Generator[Traffic]:
    """Count what this process sends while this lasts."""
    seen = Traffic()

    async def note(statement: str, _parameters: Any) -> None:
        seen.statements.append(statement)

    async def commit() -> None:
        seen.commits += 1

    with overhearing(record, statement=note, commit=commit):
        yield seen
