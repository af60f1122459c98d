"""Requests that are answered when a task has ended: calls, `tasks/result`, `task_wait`; and coming back for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks_server.errors import INTERNAL_ERROR, RpcError, TaskNotFound
from tasks_server.manifest import ToolOffer
from tasks_server.protocol.dialect import Outlet, Stream
from tasks_server.protocol.jsonrpc import Result
from tasks_server.protocol.task_tools.calls import Delivered, Wait, waiting_for
from tasks_server.protocol.task_tools.detaching import CallLimit, limit_of_call
from tasks_server.protocol.task_tools.readable import ToolResult
from tasks_server.protocol.v2025_11_25.call import SessionCall
from tasks_server.protocol.v2025_11_25.follower import Follower, Watching
from tasks_server.protocol.v2025_11_25.marks import FollowMark, Place, StreamKind
from tasks_server.protocol.v2025_11_25.results import made_here, outcome, related, stored_result
from tasks_server.protocol.v2025_11_25.revisions import Revision
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.task import Method, NewTask, Task

if TYPE_CHECKING:
    from tasks_server.protocol.parts import Parts


def carry_out(
    call: SessionCall, new: NewTask, *, resumable: bool = True, tool: ToolOffer | None = None
) -> Stream:
    """Carry out `new`, and answer the call with its outcome. tool: a call of it may be answered with its task."""
    mark = _beginning(StreamKind.CALL, new.id, call)
    limit = None if tool is None else _limit(call.parts, call.session, tool)

    async def run(outlet: Outlet) -> Result | None:
        follower = Follower(
            call.parts,
            call.session,
            outlet,
            mark,
            lambda task: outcome(task, call.session.revision),
            limit,
            is_new=True,
            resumable=resumable,
        )
        return await follower.run(call.parts.service.submit_and_watch(new))

    return Stream(run)


def wait_for(call: SessionCall, task: Task) -> Stream:
    """Answer the call with the outcome of a task that has been handed out."""
    mark = _beginning(StreamKind.RESULT, task.id, call)
    origin = task.origin
    # The token that came with the task stays in use until its end; another session may mean another call by it.
    if origin.progress_token is not None and origin.session == call.session.id:
        mark = replace(mark, progress_token=origin.progress_token)
    return Stream(
        lambda outlet: _result_follower(call.parts, call.session, outlet, mark).run(_watch(call, task.id))
    )


def wait_a_while(call: SessionCall, wait: Wait) -> Stream:
    """Answer the call with what has become of a task, or with how far it is."""
    mark = _beginning(StreamKind.WAIT, wait.task_id, call)
    return Stream(
        lambda outlet: _wait_follower(call.parts, call.session, outlet, mark, wait).run(
            _watch(call, wait.task_id)
        )
    )


def resume(parts: Parts, session: Session, mark: FollowMark) -> Stream:
    """Go on with a stream that was broken off."""

    async def run(outlet: Outlet) -> Result | None:
        try:
            follower = await _resumed(parts, session, outlet, mark)
            return await follower.run(_watching(parts, session, mark.task_id))
        except TaskNotFound:
            raise RpcError(INTERNAL_ERROR, "What this request has come to is not kept any more.") from None

    return Stream(run)


def as_result(answer: ToolResult | Delivered, revision: Revision) -> Result:
    """The answer of a tool that follows tasks."""
    if isinstance(answer, Delivered):
        return stored_result(answer.outcome, revision)
    return made_here(answer, revision)


async def _resumed(parts: Parts, session: Session, outlet: Outlet, mark: FollowMark) -> Follower:
    match mark.kind:
        case StreamKind.RESULT:
            follower = _result_follower(parts, session, outlet, mark)
        case StreamKind.WAIT:
            wait = waiting_for(parts, session.owner, mark.task_id)
            follower = _wait_follower(parts, session, outlet, mark, wait)
        case _:
            limit = await _limit_on_return(parts, session, mark.task_id)
            follower = Follower(
                parts, session, outlet, mark, lambda task: outcome(task, session.revision), limit
            )
    follower.is_resumed = True
    return follower


def _result_follower(parts: Parts, session: Session, outlet: Outlet, mark: FollowMark) -> Follower:
    def ending(task: Task) -> Result:
        return outcome(task, session.revision, related(task.id))

    return Follower(parts, session, outlet, mark, ending)


def _wait_follower(parts: Parts, session: Session, outlet: Outlet, mark: FollowMark, wait: Wait) -> Follower:
    return Follower(
        parts,
        session,
        outlet,
        mark,
        lambda task: as_result(wait.ended(task), session.revision),
        wait,
        cannot_ask=lambda task: as_result(wait.cannot_ask(task), session.revision),
    )


def _beginning(kind: StreamKind, task_id: str, call: SessionCall) -> FollowMark:
    return FollowMark(kind, task_id, call.request.id, call.caller.progress_token, Place())


def _watch(call: SessionCall, task_id: str) -> Watching:
    return _watching(call.parts, call.session, task_id)


def _watching(parts: Parts, session: Session, task_id: str) -> Watching:
    return parts.service.watch(session.owner, [task_id], signals=True)


def _limit(parts: Parts, session: Session, tool: ToolOffer) -> CallLimit | None:
    """A client that knows tasks says when it wants one."""
    return None if "tasks" in session.capabilities else limit_of_call(parts, session.owner, tool)


async def _limit_on_return(parts: Parts, session: Session, task_id: str) -> CallLimit | None:
    """What is left of the time that the call has been waited for on all its connections."""
    task = await parts.service.get(session.owner, task_id)
    tool = parts.catalog.current().tool(task.name) if task.method is Method.CALL_TOOL else None
    limit = None if tool is None else _limit(parts, session, tool)
    if limit is None:
        return None
    waited = (await parts.service.clock() - task.created_at) / 1000
    return replace(limit, seconds=max(0.0, limit.seconds - waited))
