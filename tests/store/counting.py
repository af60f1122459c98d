"""What a process really sends to its database."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

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
    database: Any = record.database

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.statements.append(statement)

    def commit(_connection: Any) -> None:
        seen.commits += 1

    engines = {database._writer.sync_engine, database._reader.sync_engine}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
        event.listen(engine, "commit", commit)
    try:
        yield seen
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
            event.remove(engine, "commit", commit)
