"""Puts the questions of a task to the client's own callbacks: elicitation, sampling, roots."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import mcp_types as types
from anyio.abc import TaskGroup
from mcp import MCPError
from mcp.client.session import ClientRequestContext

from tasks_server.client.requests import TaskRequests

MAX_TRIES = 3
"""How often a question is put whose answers do not fit it."""


class Answering:
    """Puts each question of one task once, and all open ones at the same time, while the task is followed.

    What a callback raises, or refuses with ErrorData, ends the task group.
    """

    def __init__(self, requests: TaskRequests, group: TaskGroup) -> None:
        self._requests = requests
        self._group = group
        self._taken: set[str] = set()
        self._put_now: dict[str, anyio.CancelScope] = {}

    def settle(self, questions: Mapping[str, types.InputRequest]) -> None:
        """Take note of the questions that are open now. A callback whose question is not any more is cancelled."""
        for key, scope in self._put_now.items():
            if key not in questions:
                scope.cancel()
        for key in questions.keys() - self._taken:
            self._taken.add(key)
            self._group.start_soon(self._answer, key, questions[key])

    async def _answer(self, key: str, question: types.InputRequest) -> None:
        for tries_left in reversed(range(MAX_TRIES)):
            response = await self._put(key, question)
            if response is None:
                self._taken.discard(key)  # a tool that starts again asks it again
                return
            refusal = await self._refusal(key, response)
            if refusal is None:
                return
            if not tries_left:
                raise refusal
            question = _with_reason(question, refusal.message)

    async def _put(self, key: str, question: types.InputRequest) -> types.InputResponse | None:
        """What the callback answers; None if the question is withdrawn, or answered elsewhere, before it does."""
        session = self._requests.session
        meta = question.params.meta if question.params else None
        context = ClientRequestContext(session=session, request_id=key, meta=meta)
        response: types.InputResponse | types.ErrorData | None = None
        with anyio.CancelScope() as scope:
            self._put_now[key] = scope
            response = await session.dispatch_input_request(context, question)
        del self._put_now[key]
        if isinstance(response, types.ErrorData):
            raise MCPError.from_error_data(response)
        return response

    async def _refusal(self, key: str, response: types.InputResponse) -> MCPError | None:
        """Send an answer. Returns why the question is still open, if it is."""
        try:
            await self._requests.update({key: response})
        except MCPError as error:
            if error.code != types.INVALID_PARAMS:
                raise
            if key in (await self._requests.get()).input_requests:
                return error
        return None


def _with_reason(question: types.InputRequest, reason: str) -> types.InputRequest:
    """A form that says why it is shown again."""
    if not isinstance(question, types.ElicitRequest):
        return question
    params = question.params.model_copy(update={"message": f"{reason}\n\n{question.params.message}"})
    return question.model_copy(update={"params": params})
