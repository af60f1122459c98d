"""What becomes of a message, whichever revision it is in: taken, answered at once, or answered by a stream."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from tasks_server.errors import (
    INTERNAL_ERROR,
    TOO_MANY_QUEUED,
    IdempotencyConflict,
    InvalidAnswer,
    RpcError,
    SubscriptionRefused,
    TaskNotFound,
    TooManyQueued,
)
from tasks_server.protocol.dialect import Outlet, Stream
from tasks_server.protocol.jsonrpc import InvalidParams, RequestId, encode_error, encode_result

DATABASE_AWAY = "The database cannot be reached or takes no changes at the moment; try again soon."

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A notification or a response was taken; there is nothing to answer."""


@dataclass(frozen=True, slots=True)
class Final:
    """An encoded JSON-RPC response. error_code is set if it is an error, retry_after_ms if it may pass.

    status: the HTTP status that the protocol wants whatever the code says. session: the id of a session that begins.
    """

    payload: bytes
    error_code: int | None = None
    retry_after_ms: int | None = None
    status: int | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Streamed:
    """A response that may be preceded by other messages. `run` never raises a deliberate error.

    It returns None if it ends without a response because the client can come back for it, or will not want it.
    """

    run: Callable[[Outlet], Awaitable[Final | None]]


def streamed(request_id: RequestId, stream: Stream) -> Streamed:
    """The stream with its result, or the error that it raises, as a response."""

    async def run(outlet: Outlet) -> Final | None:
        async def finish() -> Final | None:
            result = await stream.run(outlet)
            return None if result is None else Final(encode_result(request_id, result))

        return await guarded(request_id, finish)

    return Streamed(run)


async def guarded(request_id: RequestId | None, work: Callable[[], Awaitable[T]]) -> T | Final:
    """What `work` returns, or the error response to what it raises."""
    try:
        return await work()
    except RpcError as error:
        return failed(request_id, error)
    except (TaskNotFound, InvalidAnswer, SubscriptionRefused) as error:
        return failed(request_id, InvalidParams(str(error)))
    except IdempotencyConflict as error:
        return failed(request_id, InvalidParams(str(error), {"idempotencyKey": error.key}))
    except TooManyQueued as error:
        data = {"limit": error.limit, "retryAfterMs": error.retry_after_ms}
        refused = failed(request_id, RpcError(TOO_MANY_QUEUED, str(error), data))
        return replace(refused, retry_after_ms=error.retry_after_ms)
    except Exception as error:
        # A pipe is answered before the store is loaded, which takes a second.
        from tasks_server.store.outage import is_outage

        if is_outage(error):
            log.warning("A request could not be answered, the database is away: %s", error)
            return failed(request_id, RpcError(INTERNAL_ERROR, DATABASE_AWAY))
        log.exception("A request could not be answered")
        return failed(
            request_id, RpcError(INTERNAL_ERROR, "Internal error; the server's log has the details.")
        )


def failed(request_id: RequestId | None, error: RpcError) -> Final:
    return Final(encode_error(request_id, error), error.code)
