"""The same work beside a million tasks: what has been done must not make slower what is done."""

from __future__ import annotations

from typing import Any

import asyncpg

from benchmarks import measures
from benchmarks.connection import Connection
from benchmarks.messages import call
from benchmarks.pulse import Pulse
from benchmarks.rounds import Figures
from benchmarks.subjects import Running

EMPTY, FULL = "empty", "full"
OWNERS = 1000
PARKED = 10_000


async def fill(url: str, database_url: str, rows: int, pulse: Pulse) -> None:
    """Copies of one finished task, of many owners and some days; some of them are parked at a question instead."""
    connection = Connection(url)
    pulse.clear()
    task_id = (await connection.result(call("nothing", {"number": 0})))["taskId"]
    await measures.until_completed(connection, task_id)
    connection.close()
    database: Any = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        names = [row["column_name"] for row in await database.fetch(COLUMNS)]
        for parked, number in ((False, rows - PARKED), (True, PARKED)):
            made = COPIED | (AS_PARKED if parked else {})
            values = ", ".join(made.get(name, f"t.{name}") for name in names)
            statement = (
                f"INSERT INTO task ({', '.join(names)}) SELECT {values}"
                f" FROM generate_series(1, {number}) AS n, task AS t WHERE t.id = $1"
            )
            await database.execute(statement, task_id, timeout=900)
        await database.execute("VACUUM ANALYZE", timeout=900)
    finally:
        await database.close()


async def compare(
    empty: Running, full: Running, cold: dict[str, list[str]], seconds: float, figures: Figures
) -> None:
    """One round: the same load on both."""
    for name, running in ((EMPTY, empty), (FULL, full)):
        get = await measures.get_cold(running.url, cold[name], seconds)
        figures.add_load(name, "get, cold/s", get)
        figures.add_load(name, "submit/s", await measures.submit(running.url, seconds))


COLUMNS = (
    "SELECT column_name FROM information_schema.columns WHERE table_name = 'task' ORDER BY ordinal_position"
)
COPIED = {
    "id": "md5(n::text || random()::text)",
    "owner": f"'owner-' || (n % {OWNERS})",
    "created_at": "t.created_at - n * 100",
    "expires_at": "t.created_at + 30 * 24 * 3600 * 1000::bigint + n",
}
AS_PARKED = {
    "status": "'input_required'",
    "outcome": "NULL",
    "outcome_kind": "NULL",
    "finished_at": "NULL",
}
