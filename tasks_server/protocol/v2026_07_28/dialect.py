"""Revision 2026-07-28: its methods, and where each finds the name that `Mcp-Name` mirrors."""

from __future__ import annotations

from tasks_server.protocol.dialect import Dialect, NameSource
from tasks_server.protocol.v2026_07_28.completion import complete_argument
from tasks_server.protocol.v2026_07_28.listen import listen
from tasks_server.protocol.v2026_07_28.opening import OPENING, VERSION
from tasks_server.protocol.v2026_07_28.prompts import get_prompt, list_prompts
from tasks_server.protocol.v2026_07_28.resources import list_resources, list_templates, read_resource
from tasks_server.protocol.v2026_07_28.tasks import cancel_task, get_task, update_task
from tasks_server.protocol.v2026_07_28.tools import call_tool, list_tools

# The extension asks clients to mirror the task id; the base protocol's table does not list tasks/*, and clients
# in the field leave it out. Nothing here is routed by it, so only a false one is refused.
TASK_ID = NameSource("taskId", required=False)

DIALECT = Dialect(
    version=VERSION,
    handlers={
        **OPENING.handlers,
        "tools/list": list_tools,
        "tools/call": call_tool,
        "prompts/list": list_prompts,
        "prompts/get": get_prompt,
        "resources/list": list_resources,
        "resources/templates/list": list_templates,
        "resources/read": read_resource,
        "completion/complete": complete_argument,
        "subscriptions/listen": listen,
        "tasks/get": get_task,
        "tasks/update": update_task,
        "tasks/cancel": cancel_task,
    },
    name_sources={
        "tools/call": NameSource("name"),
        "prompts/get": NameSource("name"),
        "resources/read": NameSource("uri"),
        "tasks/get": TASK_ID,
        "tasks/update": TASK_ID,
        "tasks/cancel": TASK_ID,
    },
)
