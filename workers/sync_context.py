"""`TaskContext` for plain functions: the same verbs, each waiting for its outcome."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tasks_server.log_level import LogLevel
from workers.artifact import Artifact
from workers.context import TaskContext
from workers.current_run import CurrentRun, Run
from workers.errors import TaskCancelled
from workers.port import TaskPort
from workers.schemas import JsonSchema
from workers.step import Steps, StepValue
from workers.units import Duration

if TYPE_CHECKING:
    from mcp_types import CreateMessageResult, Root, SamplingMessage

Answer = TypeVar("Answer")
T = TypeVar("T")


class SyncTaskContext(CurrentRun):
    """Handed to a plain function as its first parameter; usable from any thread the function starts.

    Every call raises TaskCancelled once the task is being stopped, including one that is waiting then. What
    each verb means is written at `TaskContext`.
    """

    def __init__(
        self, context: TaskContext, port: TaskPort, run: Run, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(run)
        self._context = context
        self._steps = Steps(port)
        self._loop = loop
        self._waiting: set[concurrent.futures.Future[Any]] = set()
        self.on_cancel(self._stop_waiting)

    def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        self._wait(self._context.progress(progress, total, message))

    def status(self, message: str) -> None:
        self._wait(self._context.status(message))

    def log(self, level: LogLevel, data: Any, logger: str | None = None) -> None:
        self._wait(self._context.log(level, data, logger))

    @overload
    def ask(
        self,
        message: str,
        form: type[Answer],
        *,
        key: str | None = None,
        within: Duration = None,
        default: Answer | Mapping[str, Any] | None = None,
    ) -> Answer: ...

    @overload
    def ask(
        self,
        message: str,
        form: JsonSchema,
        *,
        key: str | None = None,
        within: Duration = None,
        default: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]: ...

    def ask(
        self,
        message: str,
        form: type[Answer] | JsonSchema,
        *,
        key: str | None = None,
        within: Duration = None,
        default: Any = None,
    ) -> Any:
        return self._wait(self._context.ask(message, form, key=key, within=within, default=default))

    def ask_url(self, message: str, url: str, *, key: str | None = None, within: Duration = None) -> None:
        self._wait(self._context.ask_url(message, url, key=key, within=within))

    def sample(
        self,
        messages: str | Sequence[SamplingMessage],
        *,
        max_tokens: int = 1024,
        system_prompt: str | None = None,
        key: str | None = None,
    ) -> CreateMessageResult:
        return self._wait(
            self._context.sample(messages, max_tokens=max_tokens, system_prompt=system_prompt, key=key)
        )

    def roots(self, *, key: str | None = None) -> list[Root]:
        return self._wait(self._context.roots(key=key))

    def step(self, name: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """As `TaskContext.step`, except that the function runs right here, in the calling thread."""
        value = StepValue(function)
        known, remembered = self._wait(self._steps.recall(name, value))
        if known:
            return remembered
        return self._wait(self._steps.remember(name, value, function(*args, **kwargs)))

    def artifact(self, name: str, content: bytes | str | Path, mime_type: str | None = None) -> Artifact:
        return self._wait(self._context.artifact(name, content, mime_type))

    def announce_resource(self, uri: str) -> None:
        self._wait(self._context.announce_resource(uri))

    def publish_catalog(self) -> None:
        self._wait(self._context.publish_catalog())

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        if self.cancelled:
            call.close()
            raise TaskCancelled
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        self._waiting.add(future)
        if self.cancelled:  # it was set in between, and may have missed this call
            future.cancel()
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise TaskCancelled from None
        finally:
            self._waiting.discard(future)

    def _stop_waiting(self) -> None:
        for future in tuple(self._waiting):
            future.cancel()
