"""Connections to PostgreSQL that may vanish without a word: a firewall forgets them, a machine is gone.

Nobody resets such a connection, so whoever waits for an answer through it would wait for minutes, or for ever; and
the server would keep for as long what a transaction over it has locked. The same goes for a process that is paused.
"""

from __future__ import annotations

import socket
from typing import Any

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

CONNECTIONS = 8
RECYCLE_SECONDS = 1800
CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 30.0
# Between two statements of a transaction we do nothing that takes time: who is silent for so long is gone or paused.
IDLE_IN_TRANSACTION_SECONDS = 5.0

# The kernel asks an idle peer after so long, then so often, and gives up after so many questions without an answer;
# what was sent has to be acknowledged within the last of these. Not every system knows all of them.
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}


# What the driver raises over a connection that is still being prepared, when SQLAlchemy does not translate it yet.
PREPARING_FAILED = (PostgresError, InterfaceError, InternalClientError)


class StatementTimedOut(TimeoutError):
    """PostgreSQL has not answered in time. Whether it has done what it was told is not known."""


def postgresql_engine(
    url: str, *, limits_statements: bool, plans_once: bool = False, connections: int = CONNECTIONS
) -> AsyncEngine:
    """limits_statements: one that takes longer than `STATEMENT_SECONDS` fails, and its connection is given up.

    plans_once: what is prepared is planned for any parameters.
    """
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,  # what was used last is warm: in its caches, and in what it has prepared
        pool_pre_ping=False,
        pool_recycle=RECYCLE_SECONDS,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS if limits_statements else None,
        },
    )
    event.listen(engine.sync_engine, "connect", _keep_alive)
    if limits_statements:
        event.listen(engine.sync_engine, "connect", _let_go_of_locks)
    if plans_once:
        event.listen(engine.sync_engine, "connect", _plan_once)
    event.listen(engine.sync_engine, "handle_error", _give_up_connection)
    return engine


def _keep_alive(connection: Any, _: Any) -> None:
    transport = connection.driver_connection._transport  # noqa: SLF001 - asyncpg shows its socket nowhere else
    end: socket.socket | None = transport.get_extra_info("socket")
    if end is None or end.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        option: int | None = getattr(socket, name, None)
        if option is not None:
            end.setsockopt(socket.IPPROTO_TCP, option, value)


def _let_go_of_locks(connection: Any, _: Any) -> None:
    """By a statement, because poolers in between refuse settings that they do not know at the start."""
    _send(connection, f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_SECONDS * 1000:.0f}")


def _plan_once(connection: Any, _: Any) -> None:
    _send(connection, "SET plan_cache_mode = force_generic_plan")


def _send(connection: Any, statement: str) -> None:
    async def send(driver: Any) -> None:
        await driver.execute(statement)

    connection.run_async(send)


def _give_up_connection(context: ExceptionContext) -> StatementTimedOut | None:
    """Its answer may still come, and would be taken for that of the next statement's."""
    if not isinstance(context.original_exception, TimeoutError):
        return None
    context.is_disconnect = True
    return StatementTimedOut(f"PostgreSQL has not answered within {STATEMENT_SECONDS:g} s")
