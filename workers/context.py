"""What a running tool may do, for async functions. `sync_context.py` has the same verbs for plain ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from inspect import isawaitable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pydantic_core import to_jsonable_python

from tasks_server.log_level import LogLevel
from workers.artifact import Artifact, as_file, guess_mime_type
from workers.current_run import CurrentRun, Run
from workers.daemon_thread import in_thread
from workers.names import check_file_name, check_media_type, check_name
from workers.port import TaskPort
from workers.questions import Deadline, Form, accepted, form_request, refused, url_request
from workers.schemas import JsonSchema
from workers.step import Steps, StepValue, is_async
from workers.units import Duration

if TYPE_CHECKING:
    from mcp_types import CreateMessageResult, Root, SamplingMessage

Answer = TypeVar("Answer")
T = TypeVar("T")


class TaskContext(CurrentRun):
    """Handed to a tool, prompt or resource function as its first parameter.

    Every awaited call is also a point where a cancelled task stops.
    """

    def __init__(self, port: TaskPort, run: Run) -> None:
        super().__init__(run)
        self._port = port
        self._steps = Steps(port)

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """How far the work is, in any unit; it must not go back. Raises ValueError for what is no finite number."""
        _check_finite("progress", progress)
        if total is not None:
            _check_finite("total", total)
        await self._port.report_progress(progress, total, message)

    async def status(self, message: str) -> None:
        """One sentence on what is happening now, for people."""
        await self._port.report_status(message)

    async def log(self, level: LogLevel, data: Any, logger: str | None = None) -> None:
        """A log line for the task's record, and for a client that asked to see this level."""
        await self._port.log(level, to_jsonable_python(data, by_alias=True), logger)

    @overload
    async def ask(
        self,
        message: str,
        form: type[Answer],
        *,
        key: str | None = None,
        within: Duration = None,
        default: Answer | Mapping[str, Any] | None = None,
    ) -> Answer: ...

    @overload
    async def ask(
        self,
        message: str,
        form: JsonSchema,
        *,
        key: str | None = None,
        within: Duration = None,
        default: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]: ...

    async def ask(
        self,
        message: str,
        form: type[Answer] | JsonSchema,
        *,
        key: str | None = None,
        within: Duration = None,
        default: Any = None,
    ) -> Any:
        """Ask the person behind the client to fill in a form (client/elicitation, form mode).

        form: a Pydantic model of plain fields, or such a schema. Never for secrets: those need `ask_url`.
        While it waits the task may give up its worker, and run again from the top once the answer is there:
        put work that must not be repeated into `step`, and ask the same questions in the same order, or give
        each a key.
        within: how long the question stays open, counted from when it is first put; then `default` is the
        answer, or Unanswered is raised.

        Raises Declined; InvalidAnswer when a validator of the model objects; ValueError for a form with other
        than plain fields, or a default that does not fit it; RpcError (-32021) when the client cannot be asked.
        """
        checked = Form(form)
        deadline = Deadline.of(within, default, checked)
        request = form_request(message, checked.schema)
        response = await self._elicit(key, request, deadline)
        return checked.read(key or message, message, response)

    async def ask_url(
        self, message: str, url: str, *, key: str | None = None, within: Duration = None
    ) -> None:
        """Ask the person to open a URL (client/elicitation, URL mode).

        Returns when they agreed to open it, which is not yet what they do there. Raises Declined, and Unanswered
        when nobody did either `within` that time.
        """
        deadline = Deadline.of(within, None)
        accepted(message, await self._elicit(key, url_request(message, url), deadline))

    async def _elicit(self, key: str | None, request: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        return await self._port.request_input(
            _checked(key), "elicitation/create", request, deadline.within_ms, deadline.default
        )

    async def sample(
        self,
        messages: str | Sequence[SamplingMessage],
        *,
        max_tokens: int = 1024,
        system_prompt: str | None = None,
        key: str | None = None,
    ) -> CreateMessageResult:
        """Have the client's model write something (client/sampling; deprecated in the protocol)."""
        # Loaded on first use: hardly any tool samples, and every tool's subprocess would pay for it.
        from mcp_types import CreateMessageResult

        params: dict[str, Any] = {"messages": _sampling_messages(messages), "maxTokens": max_tokens}
        if system_prompt is not None:
            params["systemPrompt"] = system_prompt
        response = await self._port.request_input(_checked(key), "sampling/createMessage", params)
        refused("The client's model", response)
        return CreateMessageResult.model_validate(response)

    async def roots(self, *, key: str | None = None) -> list[Root]:
        """The directories the client works in (client/roots; deprecated in the protocol)."""
        from mcp_types import ListRootsResult

        response = await self._port.request_input(_checked(key), "roots/list", {})
        refused("The client's roots", response)
        return ListRootsResult.model_validate(response).roots

    @overload
    async def step(
        self, name: str, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T: ...

    @overload
    async def step(self, name: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T: ...

    async def step(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `function` once per task: later attempts get the value it returned, without calling it.

        A plain function runs in a thread. The value goes through JSON by the return annotation, the first
        time too, so that a rerun sees nothing the first run did not. Failures are not remembered.

        Raises ValueError when this run already took a step of that name.
        """
        value = StepValue(function)
        known, remembered = await self._steps.recall(name, value)
        if known:
            return remembered
        return await self._steps.remember(name, value, await _call(function, args, kwargs))

    async def artifact(
        self, name: str, content: bytes | str | Path, mime_type: str | None = None
    ) -> Artifact:
        """Store a file under this task. mime_type is guessed from the name unless given.

        Raises ValueError for a name or a type that could not be found or sent again.
        """
        kind = mime_type or guess_mime_type(name, content)
        check_file_name(name)
        check_media_type(kind)
        with ExitStack() as stack:
            path = await in_thread(partial(stack.enter_context, as_file(content)))
            return Artifact.of(await self._port.save_artifact(name, path, kind))

    async def announce_resource(self, uri: str) -> None:
        """Tell subscribers that the resource under `uri` has changed."""
        await self._port.announce_resource(uri)

    async def publish_catalog(self) -> None:
        """Publish what this worker offers now."""
        await self._port.publish_catalog()


def _check_finite(what: str, value: float) -> None:
    """JSON has no other numbers."""
    try:
        is_finite = isfinite(value)
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise ValueError(f"{what} must be a finite number, not {repr(value)[:20]}")


def _checked(key: str | None) -> str | None:
    if key is not None:
        check_name("a question", key)
    return key


async def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if is_async(function):
        return await function(*args, **kwargs)
    value = await in_thread(lambda: function(*args, **kwargs))
    return await value if isawaitable(value) else value


def _sampling_messages(messages: str | Sequence[SamplingMessage]) -> list[dict[str, Any]]:
    if isinstance(messages, str):
        return [{"role": "user", "content": {"type": "text", "text": messages}}]
    return [message.model_dump(mode="json", by_alias=True, exclude_none=True) for message in messages]
