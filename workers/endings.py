"""Brings the end of a run into the record, through outages of the database, and no more than once."""

from __future__ import annotations

import logging

import anyio

from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.events import Released
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage
from workers.outcome import Outcome, failed
from workers.session import Session, Stop
from workers.setbacks import Setback, Setbacks

log = logging.getLogger(__name__)

FINISH_PAUSE_SECONDS = 0.5
HANDED_BACK: dict[Stop | None, Released] = {Stop.SHUTDOWN: Released.STOPPING, Stop.NO_SLOT: Released.NO_SLOT}


class Endings:
    """Of all runs of one worker process."""

    def __init__(self, claims: Claims, setbacks: Setbacks) -> None:
        self._claims = claims
        self._setbacks = setbacks

    async def record(self, session: Session, outcome: Outcome | Setback | None) -> None:
        """Write how it ended, as long as the fence holds; a database outage is waited out."""
        unrecordable = failed("The task has ended, but the database refuses to record how.")
        answer_lost = False
        while True:
            try:
                await self._write(session, outcome, answer_lost=answer_lost)
            except StaleTransition:
                log.warning("task %s: attempt %d was overtaken, its end is void", *_named(session))
            except DATABASE_UNAVAILABLE as error:
                if not is_outage(error) and outcome is not unrecordable:
                    log.exception("task %s: its end cannot be recorded", session.task.id)
                    outcome = unrecordable
                    continue
                log.warning("task %s: its end cannot be written yet: %s", session.task.id, error)
                answer_lost = True
                # Nobody takes a task over while the database is away; later, the fence decides.
                await anyio.sleep(FINISH_PAUSE_SECONDS)
                continue
            return

    async def _write(self, session: Session, outcome: Outcome | Setback | None, *, answer_lost: bool) -> None:
        """answer_lost: it has been tried before, and the commit may have succeeded."""
        if outcome is None and session.stopped not in HANDED_BACK:
            return
        if not isinstance(outcome, Outcome):
            if answer_lost and await self._claims.has_let_go(session.held):
                return
            await session.reports.write_lines()
            if outcome is None:
                await self._claims.release(session.held, HANDED_BACK[session.stopped])
            else:
                await self._setbacks.record(session, outcome)
            return
        if answer_lost and await self._claims.has_finished(session.held, outcome.kind, outcome.value):
            return
        reports = session.reports
        await reports.write_lines()
        message = outcome.message or reports.message
        await self._claims.finish(session.held, outcome.kind, outcome.value, reports.progress, message)


def _named(session: Session) -> tuple[str, int]:
    """Task and attempt as the log names them, which counts from 1 like everything that people read."""
    return session.held.task_id, session.held.attempt + 1
