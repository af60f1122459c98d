"""The extension as `Client(extensions=[…])` takes it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import anyio
import mcp_types as types
from mcp import Client, ClientSession, MCPError
from mcp.client.extension import ClaimContext, ClientExtension, NotificationBinding, ResultClaim
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from tasks_server.client.errors import ServerUnreachable, TaskNotFound
from tasks_server.client.following import Following, plain_result
from tasks_server.client.handle import TaskHandle
from tasks_server.client.messages import IDENTIFIER, NOTIFICATION, CreateTaskResult, DetailedTask
from tasks_server.client.options import Options
from tasks_server.client.pace import Pace
from tasks_server.client.push import TaskStream
from tasks_server.client.requests import TaskRequests

CANCEL_SECONDS = 5.0

_chosen: ContextVar[Options | None] = ContextVar("chosen", default=None)
_only_start: ContextVar[bool] = ContextVar("only_start", default=False)


class TasksExtension(ClientExtension):
    """Declares the Tasks extension, and finishes the calls that a server answers with a task.

    On a connection of an older revision it declares nothing: calls are what they are without it.
    """

    identifier = IDENTIFIER

    def __init__(self, options: Options | None = None) -> None:
        self._defaults = options or Options()
        self._streams: WeakKeyDictionary[ClientSession, TaskStream] = WeakKeyDictionary()

    @contextmanager
    def using(self, options: Options) -> Generator[None]:
        """Other options for the calls that are made inside this block."""
        token = _chosen.set(options)
        try:
            yield
        finally:
            _chosen.reset(token)

    async def start(
        self,
        client: Client,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        meta: types.RequestParamsMeta | None = None,
    ) -> TaskHandle | types.CallToolResult:
        """Call a tool without waiting for its end.

        Returns the plain result where there is no task: the tool forbids them, or the server knows none.
        """
        token = _only_start.set(True)
        try:
            return await client.call_tool(name, arguments, meta=meta)
        except _Started as started:
            return self.attach(client, started.task_id)
        finally:
            _only_start.reset(token)

    def attach(self, client: Client, task_id: str) -> TaskHandle:
        """A handle of a task that may have been started anywhere, by the same user. Asks the server nothing yet."""
        if client.extensions is None or self not in client.extensions:
            raise ValueError("This TasksExtension is not the client's: pass it to Client(extensions=[…]).")
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            raise RuntimeError(
                f"The connection speaks {client.protocol_version}, in which this extension has no tasks; "
                f"it needs one of {', '.join(MODERN_PROTOCOL_VERSIONS)}."
            )
        return TaskHandle(client.session, self._stream(client.session), task_id, self._options)

    @property
    def _options(self) -> Options:
        return _chosen.get() or self._defaults

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return (ResultClaim(result_type="task", model=CreateTaskResult, resolve=self._finish),)

    def notifications(self) -> Sequence[NotificationBinding[Any]]:
        return (NotificationBinding(method=NOTIFICATION, params_type=DetailedTask, handler=self._deliver),)

    async def _deliver(self, task: DetailedTask) -> None:
        for stream in self._streams.values():
            stream.deliver(task)

    def _stream(self, session: ClientSession) -> TaskStream:
        return self._streams.setdefault(session, TaskStream())

    async def _finish(self, created: CreateTaskResult, context: ClaimContext) -> types.CallToolResult:
        if _only_start.get():
            raise _Started(created.task_id)
        options = self._options
        requests = TaskRequests(
            context.session, created.task_id, options.patience_seconds, context.read_timeout_seconds
        )
        following = Following(requests, self._stream(context.session), options)
        try:
            await following.begun(created.detailed())
            task = await following.ended(Pace(created.poll_interval_ms))
        except (TaskNotFound, ServerUnreachable):
            raise
        except BaseException:
            if options.if_abandoned == "cancel":
                await _cancel(requests)
            raise
        return plain_result(task)


class _Started(Exception):
    """Carries the id of a task past the SDK, which wants a claimed result to be finished."""

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id


async def _cancel(requests: TaskRequests) -> None:
    with anyio.move_on_after(CANCEL_SECONDS, shield=True), suppress(MCPError):
        await requests.cancel()
