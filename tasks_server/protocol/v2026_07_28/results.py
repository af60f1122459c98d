"""Results as revision 2026-07-28 wants them: `resultType` first, and who answers in `_meta`.

Outcomes are stored as encoded JSON without `resultType`. They are spliced into answers as they are; only an
outcome that brings a conflicting field of its own is decoded.
"""

from __future__ import annotations

from typing import Any

import orjson

from tasks_server.protocol.caller import SERVER_INFO_KEY
from tasks_server.protocol.server_info import SERVER_INFO

_META = {SERVER_INFO_KEY: SERVER_INFO}
_COMPLETE = '{"resultType":"complete"'


def complete(**fields: Any) -> dict[str, Any]:
    """A result with `resultType: "complete"` and these fields."""
    return {"resultType": "complete", **fields, "_meta": _META}


def created(fields: dict[str, Any]) -> dict[str, Any]:
    """A CreateTaskResult: flat, `resultType: "task"` (ext-tasks, "Task Creation")."""
    return {"resultType": "task", **fields, "_meta": _META}


def input_required(input_requests: dict[str, Any] | None, request_state: str) -> dict[str, Any]:
    """An InputRequiredResult; without questions it only asks the client to come back with the state."""
    result: dict[str, Any] = {"resultType": "input_required"}
    if input_requests:
        result["inputRequests"] = input_requests
    return {**result, "requestState": request_state, "_meta": _META}


def tool_error(text: str) -> dict[str, Any]:
    """A tool result that tells the model what went wrong (server/tools, "Error Handling")."""
    return complete(content=[{"type": "text", "text": text}], isError=True)


def nested(outcome: str) -> orjson.Fragment:
    """A stored result as the field of another result."""
    return orjson.Fragment(_spliced(outcome, _COMPLETE))


def direct(outcome: str, **fields: Any) -> orjson.Fragment | dict[str, Any]:
    """A stored result as the answer to the request it belongs to. `fields` yield to the outcome's own."""
    fields["_meta"] = _META
    if not any(f'"{name}":' in outcome for name in ("resultType", *fields)):
        return orjson.Fragment(_spliced(outcome, _COMPLETE + "," + orjson.dumps(fields).decode()[1:-1]))
    result: dict[str, Any] = orjson.loads(outcome)
    meta = {**_META, **result.pop("_meta", {})}
    return {"resultType": "complete", **fields, **result, "_meta": meta}


def _spliced(outcome: str, opening: str) -> str:
    rest = outcome[1:].lstrip()
    return opening + (rest if rest.startswith("}") else "," + rest)
