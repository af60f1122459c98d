"""The client's half of the Tasks extension, for the official Python SDK (`mcp` 2.x): docs/clients.md.

With `Client(steady_http(url), extensions=[TasksExtension()])`, `client.call_tool(…)` returns the plain result also
of a call that the server answered with a task, however long that takes and whichever replica is there at its end.

Needs nothing but the SDK. It imports no other part of this project, and none of them imports it.
"""

from tasks_server.client.errors import ServerUnreachable, TaskCancelled, TaskNotFound
from tasks_server.client.extension import TasksExtension
from tasks_server.client.handle import TaskHandle
from tasks_server.client.messages import DetailedTask, Progress, TaskStatus
from tasks_server.client.options import Options
from tasks_server.client.steady_http import SteadyHttpClient, steady_http

__all__ = [
    "DetailedTask",
    "Options",
    "Progress",
    "ServerUnreachable",
    "SteadyHttpClient",
    "TaskCancelled",
    "TaskHandle",
    "TaskNotFound",
    "TaskStatus",
    "TasksExtension",
    "steady_http",
]
