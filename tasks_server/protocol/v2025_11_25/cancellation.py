"""`notifications/cancelled`: the client does not wait for a request any more (basic/utilities/cancellation)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasks_server.bus import VoiceTaken
from tasks_server.errors import TaskNotFound
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.protocol.v2025_11_25.voice import CANCELLED
from tasks_server.task import Door

if TYPE_CHECKING:
    from tasks_server.protocol.parts import Parts


async def take_cancellation(parts: Parts, session: Session, params: dict[str, Any]) -> None:
    """Stop the work of a call that is waited for. A task that was handed out has `tasks/cancel`, and nothing else."""
    request_id = params.get("requestId")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int):
        return
    task_id = await parts.service.find_request(session.owner, session.id, request_id)
    if task_id is None:
        return
    with suppress(TaskNotFound):
        task = await parts.service.get(session.owner, task_id)
        if task.origin.door is Door.ATTACHED and not task.is_terminal:
            await parts.bus.publish(VoiceTaken(task_id, CANCELLED))
            await parts.service.cancel(session.owner, task_id)
