"""What a run leaves in the record while it goes on: reports, log lines, steps, artifacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks_server.encoding import decode_json, encode_text
from tasks_server.lifecycle.events import EventKind, event, kept
from tasks_server.lifecycle.fence import Fenced, Held, insert_events
from tasks_server.store.statements import claims as claims_sql
from tasks_server.store.statements import notes as notes_sql
from tasks_server.store.statements import terms as terms_sql
from tasks_server.task import Progress


class Notes(Fenced):
    """None of it changes how the task stands."""

    async def report(self, held: Held, progress: Progress | None, message: str | None) -> None:
        """Write progress and status message into the record."""
        values: dict[str, Any] = {}
        if progress is not None:
            values |= {"progress": progress.progress, "progress_total": progress.total}
        if message is not None:
            values["status_message"] = message
        async with self._database.transaction() as connection:
            change = notes_sql.report_if_held(*self._fence(held), values)
            row = await self._guarded(connection, held, change, "reported")
            progressed = event(held.task_id, row.updated_at, EventKind.PROGRESS, values)
            await insert_events(connection, kept([progressed], row.log_rows))
        await self._announcer.changed(held.task_id)

    async def note(self, held: Held, lines: Sequence[Mapping[str, Any]], *, announce: bool = False) -> None:
        """Append log lines to the event log, as far as there is room for them.

        announce: somebody may be waiting for them (of attached calls without a handshake nobody is, they are live).
        """
        async with self._database.transaction() as connection:
            change = notes_sql.count_lines_if_held(*self._fence(held), len(lines))
            row = await self._guarded(connection, held, change, "logged")
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            logged = [event(held.task_id, now, EventKind.LOG, line) for line in lines]
            written: Sequence[int] = ()
            if within := kept(logged, row.log_rows):
                written = (await connection.execute(notes_sql.insert_lines(), within)).scalars().all()
        if announce and written:
            await self._announcer.noted(held.task_id, written)

    async def recall(self, task_id: str, name: str) -> tuple[bool, Any]:
        """(True, value) when a step of this name has been remembered."""
        async with self._database.reading() as connection:
            row = (await connection.execute(notes_sql.checkpoint(task_id, name))).one_or_none()
        return (False, None) if row is None else (True, decode_json(row.value))

    async def remember(self, held: Held, name: str, value: Any) -> None:
        """Keep the value of a step; one of the same name is replaced."""
        async with self._database.transaction() as connection:
            await self._guarded(connection, held, claims_sql.lock_if_held(*self._fence(held)), "remembered")
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            await connection.execute(notes_sql.delete_checkpoint(held.task_id, name))
            row = {"task_id": held.task_id, "name": name, "value": encode_text(value), "at": now}
            await connection.execute(notes_sql.insert_checkpoint(), [row])

    async def record_artifact(self, held: Held, artifact: Mapping[str, Any]) -> str | None:
        """Record a file that lies in the artifact store; the location of the one that it replaces, if any."""
        async with self._database.transaction() as connection:
            await self._guarded(connection, held, claims_sql.lock_if_held(*self._fence(held)), "stored")
            now: int = (await connection.execute(terms_sql.clock())).scalar_one()
            replace = notes_sql.delete_artifact(held.task_id, artifact["name"])
            replaced: str | None = (await connection.execute(replace)).scalar_one_or_none()
            row = {"task_id": held.task_id, "created_at": now, **artifact}
            await connection.execute(notes_sql.insert_artifact(), [row])
        # The same one, when this is said again because the answer to the first commit was lost.
        return None if replaced == artifact["location"] else replaced
