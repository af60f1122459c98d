"""How this project connects to Redis: never without timeouts, and retrying through short outages.

arq's own pool sets no socket timeout, so a half-open connection would hang it for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from arq.connections import ArqRedis
from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tasks_server.encoding import decode_json, encode_json
from tasks_server.errors import ConfigurationError

COMMAND_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0
# A blocking read waits this long for news before it asks again; its socket timeout lies above.
BLOCK_SECONDS = 10.0
MAX_CONNECTIONS = 64
# What is only a hint is given up after this: nobody is to wait for a Redis that hangs.
HINT_SECONDS = 1.0

UNAVAILABLE = (RedisError, OSError, TimeoutError)


def connect(url: str) -> ArqRedis:
    """A client for short commands: each is tried again through an outage of about a second, then fails."""
    retry: Any = Retry(ExponentialBackoff(cap=0.5, base=0.05), retries=4)
    client = ArqRedis(
        _pool(
            url,
            COMMAND_TIMEOUT_SECONDS,
            retry=retry,
            retry_on_error=[RedisConnectionError, RedisTimeoutError],
        ),
        job_serializer=encode_json,
        job_deserializer=decode_json,
    )
    client.auto_close_connection_pool = True
    return client


def connect_blocking(url: str) -> Redis:
    """A client for one long read (XREAD BLOCK, pub/sub); its user reconnects by itself."""
    return Redis.from_pool(_pool(url, BLOCK_SECONDS + COMMAND_TIMEOUT_SECONDS))


def _pool(url: str, timeout: float, **options: Any) -> ConnectionPool:
    if not url:
        raise ConfigurationError(
            "TASKS_REDIS_URL is not set. Write for example redis://127.0.0.1:6379/0 or unix:///run/valkey.sock."
        )
    if not url.startswith("unix:"):
        options |= {"socket_connect_timeout": CONNECT_TIMEOUT_SECONDS, "socket_keepalive": True}
    # redis-py leaves the signature partly untyped.
    make_pool = cast("Any", ConnectionPool).from_url
    try:
        pool = make_pool(url, socket_timeout=timeout, max_connections=MAX_CONNECTIONS, **options)
    except ValueError as error:
        raise ConfigurationError(f"TASKS_REDIS_URL: {error}") from None
    pool.connection_class = CANCELLABLE[pool.connection_class]
    return pool


class _Cancellable(AbstractConnection):
    """A connection whose user is cancelled when it is told so.

    redis-py sends under `asyncio.wait_for`, which on Python 3.11 drops a cancellation that comes once everything
    is sent: the command would go on, and a tool that reports progress could not be stopped.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        user = asyncio.current_task()
        before = user.cancelling() if user else 0
        await super().send_packed_command(command, check_health)
        if user and user.cancelling() > before:
            await self.disconnect(nowait=True)  # nobody will read the answer
            raise asyncio.CancelledError


class _Tcp(_Cancellable, Connection): ...


class _Tls(_Cancellable, SSLConnection): ...


class _UnixSocket(_Cancellable, UnixDomainSocketConnection): ...


CANCELLABLE = {Connection: _Tcp, SSLConnection: _Tls, UnixDomainSocketConnection: _UnixSocket}
