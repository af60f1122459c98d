"""`notifications/cancelled`: the client does not wait for a request any more (basic/utilities/cancellation)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasks_server.errors import TaskNotFound
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.signals import RequestCancelled
from tasks_server.task import Door

if TYPE_CHECKING:
    from tasks_server.protocol.parts import Parts


async def take_cancellation(parts: Parts, session: Session, params: dict[str, Any]) -> None:
    """End the stream of its answer, and the work of a call. A task that was handed out has `tasks/cancel` for that."""
    request_id = params.get("requestId")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int):
        return
    await parts.bus.publish(RequestCancelled(session.id, request_id))
    task_id = await parts.service.find_request(session.owner, session.id, request_id)
    if task_id is None:
        return
    with suppress(TaskNotFound):
        task = await parts.service.get(session.owner, task_id)
        if task.origin.door is Door.ATTACHED and not task.is_terminal:
            await parts.service.cancel(session.owner, task_id)
