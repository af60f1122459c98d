"""Questions of a task as requests of the server, and the responses to them.

The id of such a request names task and question, so its response may arrive at any replica, and the session that was
asked, because nobody answers for another (client/elicitation, "Security Considerations"). An answer that does not fit
is asked for again under another id, a few times; then it counts as none.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

import orjson

from tasks_server.elicitation import ELICIT, REFUSED, SAMPLE, missing_capability
from tasks_server.errors import InvalidAnswer, TaskNotFound
from tasks_server.protocol.jsonrpc import RequestId, Response
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.signals import QuestionMisfit
from tasks_server.task import InputRequest

MOST_ROUNDS = 4
_LONGEST_REASON = 500

_ID = re.compile(r"([0-9a-f]{32})@([0-9a-f]+)(?:#([2-9]))?/(.+)", re.DOTALL)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuestionId:
    """tag: of the session that is asked. round: how often it has been asked, because answers did not fit."""

    task_id: str
    tag: str
    key: str
    round: int = 1

    def __str__(self) -> str:
        again = "" if self.round == 1 else f"#{self.round}"
        return f"{self.task_id}@{self.tag}{again}/{self.key}"


def read_question_id(request_id: RequestId) -> QuestionId | None:
    """None for an id that no question of ours has had."""
    matched = _ID.fullmatch(request_id) if isinstance(request_id, str) else None
    return None if matched is None else QuestionId(matched[1], matched[2], matched[4], int(matched[3] or 1))


def as_request(
    question: InputRequest, asked: QuestionId, session: Session, reason: str | None = None
) -> tuple[str, dict[str, Any]] | None:
    """Method and params of the request; None if this client cannot be asked. reason: why it is asked again."""
    request = orjson.loads(question.request)
    if missing_capability(request, session.capabilities) is not None:
        return None
    method: str = request["method"]
    params: dict[str, Any] = request.get("params") or {}
    if method == ELICIT:
        params = _elicitation(params, asked, session)
        if reason is not None:
            params["message"] = f"Your answer did not fit: {reason}. {params['message']}"
    elif method == SAMPLE and not session.revision.tasks:
        params = {**params, "messages": [_with_one_block(message) for message in params["messages"]]}
    return method, params


async def take_response(parts: Parts, session: Session, response: Response) -> None:
    """Answer the question that the response belongs to. What this session is not asked, or no more, is ignored."""
    asked = read_question_id(response.id)
    if asked is None or asked.tag != session.tag:
        log.debug("a response under the id %.200r answers nothing that this session was asked", response.id)
        return
    # A person who closes the form, a host that lets no model be used: whoever asked is told that nobody answers.
    answer = REFUSED if response.result is None else response.result
    try:
        await parts.service.answer(session.owner, asked.task_id, {asked.key: answer})
    except TaskNotFound:
        log.debug("task %s is gone; an answer to it came late", asked.task_id)
    except InvalidAnswer as misfit:
        log.info("task %s: %s", asked.task_id, misfit)
        if asked.round < MOST_ROUNDS:
            reason = misfit.reason[:_LONGEST_REASON]
            await parts.bus.publish(QuestionMisfit(asked.task_id, asked.key, asked.round, reason))
        else:
            await parts.service.answer(session.owner, asked.task_id, {asked.key: REFUSED})


def _elicitation(params: dict[str, Any], asked: QuestionId, session: Session) -> dict[str, Any]:
    if not session.revision.url_elicitation:
        return {name: value for name, value in params.items() if name != "mode"}
    if params.get("mode") == "url":
        return {**params, "elicitationId": str(asked)}
    return dict(params)


def _with_one_block(message: dict[str, Any]) -> dict[str, Any]:
    """Before 2025-11-25 the content of a message is one block, not a list."""
    match message:
        case {"content": [only]}:
            return {**message, "content": only}
        case _:
            return message
