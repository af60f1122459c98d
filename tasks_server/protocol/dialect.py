"""What a protocol revision is made of, and what its handlers get and give.

A handler answers with its result at once, or with a `Stream`: work that may notify before it has a result.
How either reaches the client (one JSON body, an event stream, a line on stdout) is the transport's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tasks_server.protocol.caller import Caller
from tasks_server.protocol.headers import Headers
from tasks_server.protocol.jsonrpc import Request, Result

if TYPE_CHECKING:
    from tasks_server.protocol.parts import Parts


class Outlet(Protocol):
    """The way back to the client while a request is being answered.

    A mark says where in the stream a message stands: a client that loses the stream comes back with the last one.
    Where streams cannot be lost apart from everything else, marks mean nothing.
    """

    async def notify(self, method: str, params: dict[str, Any], mark: str | None = None) -> None:
        """Send a notification that belongs to this request, waiting while the client is slow to read."""
        ...

    async def ask(
        self, request_id: str, method: str, params: dict[str, Any], mark: str | None = None
    ) -> None:
        """Send a request. Its response is a message of its own, which may arrive at another process."""
        ...

    async def prime(self, mark: str) -> None:
        """Let the client know where to come back to, before anything is told."""
        ...

    async def closing(self) -> None:
        """Return when the stream should end: the server stops in a few seconds, or it has lasted long enough."""
        ...

    def stopping(self, stop: Callable[[], object]) -> AbstractContextManager[None]:
        """Call `stop` when the server stops, while the block lasts. For who can do without a task that waits."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed the checks every request has to pass.

    headers is None where there are none. served: every protocol version of this server.
    """

    parts: Parts
    caller: Caller
    request: Request
    headers: Headers | None
    served: tuple[str, ...]

    @property
    def params(self) -> dict[str, Any]:
        return self.request.params


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that takes its time. Cancelling `run` means that the client has gone.

    run returns None if the stream ends without a result, because its client can come back for it or wants none.
    """

    run: Callable[[Outlet], Awaitable[Result | None]]


Handler = Callable[[Call], Awaitable[Result | Stream]]


@dataclass(frozen=True, slots=True)
class NameSource:
    """The parameter that the `Mcp-Name` header mirrors. If not required, only a false header is refused."""

    param: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Dialect:
    """One revision of the protocol.

    name_sources: for the methods whose requests are routed by name.
    """

    version: str
    handlers: Mapping[str, Handler]
    name_sources: Mapping[str, NameSource]
