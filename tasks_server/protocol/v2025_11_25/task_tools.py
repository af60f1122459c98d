"""The tools that follow tasks, called in a session."""

from __future__ import annotations

from typing import Any

from tasks_server.protocol.dialect import Stream
from tasks_server.protocol.jsonrpc import Result
from tasks_server.protocol.task_tools import calls
from tasks_server.protocol.task_tools.calls import Wait
from tasks_server.protocol.v2025_11_25.awaited import as_result, wait_a_while
from tasks_server.protocol.v2025_11_25.call import SessionCall


async def call_task_tool(call: SessionCall, name: str, arguments: dict[str, Any]) -> Result | Stream:
    answer = await calls.call_task_tool(call.parts, call.session.owner, name, arguments)
    return (
        wait_a_while(call, answer) if isinstance(answer, Wait) else as_result(answer, call.session.revision)
    )
