"""How the database goes about what a process asks of it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.store.overhearing import overhearing
from tests.store.record import Record

MANY = 10_000
NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) "

Statement = tuple[str, Any]
"""SQL, and its parameters"""


async def copies(record: Record, table: Any, row_id: str, to: str) -> None:
    """Many rows like those of this task or session, under ids of their own."""
    names = [column.name for column in table.columns]
    key = next(name for name in ("id", "task_id", "session_id") if name in names)
    values = ", ".join(f"'{to}' || n.i" if name == key else f"r.{name}" for name in names)
    await record.sql(
        f"{NUMBERS} INSERT INTO {table.name} ({', '.join(names)})"
        f" SELECT {values} FROM n, {table.name} AS r WHERE r.{key} = :id",
        id=row_id,
    )


@contextmanager
def statements(record: Record) -> Generator[list[Statement]]:
    """What this process sends to its database while this lasts, with the parameters."""
    seen: list[Statement] = []

    async def note(statement: str, parameters: Any) -> None:
        seen.append((statement, parameters))

    with overhearing(record, statement=note):
        yield seen


async def plan(record: Record, statement: Statement) -> tuple[str, list[str]]:
    """How the database goes about a statement, a line a step."""
    sql, parameters = statement
    explain = "EXPLAIN QUERY PLAN" if record.database.is_sqlite else "EXPLAIN"
    async with record.database.transaction() as connection:
        rows = (await connection.exec_driver_sql(f"{explain} {sql}", parameters)).all()
    return sql, [str(row[-1]) for row in rows]


def searches_only(steps: list[str]) -> bool:
    """Whether every step finds its rows through an index, and none goes through a whole table or a whole index."""
    for number, step in enumerate(steps):
        if "Seq Scan on" in step and "Scan on chosen" not in step:
            return False
        if "Index Scan" in step and "Index Cond" not in "".join(steps[number + 1 : number + 2]):
            return False
        if step.startswith("SCAN") and not step.startswith(("SCAN chosen", "SCAN given")):
            return False
    return True
