"""Telling a client what happens in a task while it happens: progress, log lines, questions.

Progress is told live, and never goes back. Log lines are read from the record once they are there, so that a stream
can go on where another has broken off. A question is put once per stream.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import anyio

from tasks_server.log_level import is_wanted
from tasks_server.protocol.dialect import Outlet
from tasks_server.protocol.jsonrpc import RequestId
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.scalars import number
from tasks_server.protocol.v2025_11_25.marks import Place
from tasks_server.protocol.v2025_11_25.questions import QuestionId, as_request
from tasks_server.protocol.v2025_11_25.results import related
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.protocol.v2025_11_25.voice import NOBODY, UNDECIDED, Voice
from tasks_server.signals import QuestionMisfit, TaskNoted, TaskProgressed, VoiceTaken
from tasks_server.task import InputRequest, Task
from tasks_server.watch import LiveSignal

LINES_AT_ONCE = 500

_LEAVING: set[asyncio.Future[None]] = set()


class Narrator:
    """Tells one client of one task.

    is_handle: the client knows the task, so every message names it. mark: the event id for a place. place: what has
    been told already. Unless asks_at_once, questions wait for `ask`. log_level: the least severe that is told.
    """

    def __init__(
        self,
        parts: Parts,
        session: Session,
        outlet: Outlet,
        task_id: str,
        voice: Voice,
        *,
        progress_token: RequestId | None,
        is_handle: bool,
        mark: Callable[[Place], str | None],
        place: Place,
        asks_at_once: bool = True,
    ) -> None:
        self.log_level = session.log_level
        self._parts = parts
        self._session = session
        self._outlet = outlet
        self._task_id = task_id
        self._voice = voice
        self._progress_token = progress_token
        self._is_handle = is_handle
        self._meta = {"_meta": related(task_id)} if is_handle else {}
        self._mark = mark
        self._asks_at_once = asks_at_once
        self._event = place.event
        self._has_skipped = False
        self._progress = place.progress
        self._untold: Task | None = None
        self._asked = dict.fromkeys(place.asked)
        self._open: dict[str, InputRequest] = {}
        self._rounds: dict[str, int] = {}
        self._asked_at = -math.inf

    @property
    def cannot_ask(self) -> bool:
        """Whether the task waits for answers, and this client can be asked for none of them."""
        return bool(self._open) and not any(
            as_request(question, QuestionId(self._task_id, self._session.tag, key), self._session)
            for key, question in self._open.items()
        )

    @property
    def asked_at(self) -> float:
        """When a question was last open, by the event loop's clock: now, if one is."""
        return anyio.current_time() if self._open else self._asked_at

    @property
    def has_untold(self) -> bool:
        """Whether the record shows progress that nobody is known to have told."""
        return self._untold is not None

    @property
    def place(self) -> Place:
        return Place(self._event, self._progress, tuple(self._asked))

    async def hear(self, event: Task | LiveSignal) -> None:
        """Tell what is new by it."""
        match event:
            case TaskProgressed():
                await self._tell_progress(event.progress, event.total, event.message)
            case TaskNoted():
                await self._take_lines(event)
            case VoiceTaken():
                if event.stream not in (NOBODY, UNDECIDED, self._voice.stream):
                    self._untold = None
                if await self._voice.hear(event):
                    await self._begin_to_speak()
                elif event.stream == self._voice.stream:
                    await self.ask()  # what another stream may have left meanwhile
            case QuestionMisfit():
                await self._ask_again(event)
            case Task():
                await self._look_at(event)
            case _:
                pass

    async def skip_lines(self) -> None:
        """What has been logged so far was for others to tell."""
        self._event = max(
            self._event, await self._parts.service.newest_event(self._session.owner, self._task_id)
        )
        self._has_skipped = True

    async def catch_up(self) -> None:
        """Tell what has been logged so far."""
        await self._tell_lines()

    async def tell_untold(self) -> None:
        """Tell the progress that was in the record before this stream could hear of it."""
        task, self._untold = self._untold, None
        if task is not None and task.progress is not None and self._progress == task.progress:
            self._progress = None
            await self._tell_recorded(task, task.progress)

    async def _begin_to_speak(self) -> None:
        if self._voice.claims:
            # Whoever has put them has gone; a client that has them still sees that they are the same.
            self._asked.clear()
            await self.ask()

    async def _look_at(self, task: Task) -> None:
        if task.is_terminal:
            await self._tell_lines()
            self._open = {}
            return
        if task.progress is not None:
            await self._take_progress(task, task.progress)
        self._asked_at = self.asked_at
        self._open = {question.key: question for question in task.input_requests}
        if self._open:
            await self._tell_lines()
        # What has been answered needs no more room in event ids.
        self._asked = {key: None for key in self._asked if key in self._open}
        if self._asks_at_once:
            await self.ask()

    @property
    def has_unasked(self) -> bool:
        return any(key not in self._asked for key in self._open)

    async def ask(self) -> None:
        """Put the questions that are open and have not been put."""
        for key, question in self._open.items():
            if key in self._asked:
                continue
            asked = QuestionId(self._task_id, self._session.tag, key)
            # Who is silent leaves it to the one who speaks.
            if not self._voice.may_speak or await self._take_question(asked):
                self._asked[key] = None
                await self._put(question, asked)
            else:
                self._voice.hear_again_soon()

    async def _take_question(self, asked: QuestionId) -> bool:
        """Whether it is this stream that puts it now. Who goes on with a stream is all that its client has of it."""
        return await self._parts.put_questions.put(
            str(asked), self._voice.stream, at_once=self._voice.at_once and self._asks_at_once
        )

    async def leave(self) -> None:
        """The stream has closed; others may have been waiting for that."""
        # Whoever hangs up cancels this again and again.
        leaving = asyncio.ensure_future(self._leave())
        _LEAVING.add(leaving)
        leaving.add_done_callback(_LEAVING.discard)
        await asyncio.shield(leaving)

    async def _leave(self) -> None:
        # What has been answered is not to be put again by those who do not know it yet.
        waiting = [key for key in self._asked if key in self._open]
        asked = [str(QuestionId(self._task_id, self._session.tag, key)) for key in waiting]
        await self._parts.put_questions.leave(asked, self._voice.stream)
        await self._voice.release()

    async def _ask_again(self, misfit: QuestionMisfit) -> None:
        question = self._open.get(misfit.key)
        # An answer that comes twice, or late, is not asked about under an id that has been used.
        if question is not None and misfit.round >= self._rounds.get(misfit.key, 1):
            self._rounds[misfit.key] = misfit.round + 1
            again = QuestionId(self._task_id, self._session.tag, misfit.key, misfit.round + 1)
            await self._put(question, again, misfit.reason)

    async def _put(self, question: InputRequest, asked: QuestionId, reason: str | None = None) -> None:
        request = as_request(question, asked, self._session, reason)
        if request is not None and self._voice.may_speak:
            method, params = request
            await self._outlet.ask(str(asked), method, {**params, **self._meta}, self._mark(self.place))

    async def _take_progress(self, task: Task, progress: float) -> None:
        """What the record shows may have been told on another stream under the same token, which must not go back."""
        origin = task.origin
        is_shared = self._is_handle and (origin.session, origin.progress_token) == (
            self._session.id,
            self._progress_token,
        )
        if not is_shared or not self._parts.bus.connected.is_set():
            await self._tell_recorded(task, progress)
        elif self._progress is None:
            self._progress = progress
            self._untold = task

    async def _tell_recorded(self, task: Task, progress: float) -> None:
        """The record keeps one message: the newest, with progress or without."""
        await self._tell_progress(progress, task.progress_total, task.status_message)

    async def _tell_progress(self, progress: float, total: float | None, message: str | None) -> None:
        if self._progress_token is None or (self._progress is not None and progress <= self._progress):
            return
        self._progress = progress
        params: dict[str, Any] = {"progressToken": self._progress_token, "progress": number(progress)}
        if total is not None:
            params["total"] = number(total)
        if message is not None and self._session.revision.progress_messages:
            params["message"] = message
        await self._notify("notifications/progress", params)

    async def _take_lines(self, noted: TaskNoted) -> None:
        """Who is silent leaves these lines to whoever speaks now."""
        if noted.newest is None:
            await self._tell_lines()
            return
        if self._has_skipped:
            # What had been committed, but was not announced when somebody else spoke, is not for others to tell.
            self._event = min(self._event, noted.after)
            self._has_skipped = False
        if self._voice.may_speak:
            await self._tell_lines()
        else:
            self._event = max(self._event, noted.newest)

    async def _tell_lines(self) -> None:
        self._has_skipped = False
        while True:
            events = await self._parts.service.events_after(
                self._session.owner, self._task_id, self._event, LINES_AT_ONCE
            )
            for event in events:
                self._event = event.id
                if event.kind == "log" and is_wanted(event.body["level"], self.log_level):
                    line = {name: value for name, value in event.body.items() if value is not None}
                    await self._notify("notifications/message", {"data": None, **line})
            if len(events) < LINES_AT_ONCE:
                return

    async def _notify(self, method: str, params: dict[str, Any]) -> None:
        if self._voice.may_speak:
            await self._outlet.notify(method, {**params, **self._meta}, self._mark(self.place))
