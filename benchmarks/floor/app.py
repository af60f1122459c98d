"""Two jobs behind one route: insert the row of a new task, read the row of a task. Nothing is checked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
from sqlalchemy.dialects.postgresql import asyncpg as dialect_of_asyncpg
from sqlalchemy.engine import make_url
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks_server.lifecycle.quotas import USUAL_QUOTAS
from tasks_server.store.statements.given import given_ids
from tasks_server.store.statements.reading import tasks_by_id
from tasks_server.store.statements.submitting import COLUMNS, insert_new

CONNECTIONS = 8
ID = "the id goes here"
DAY_MS = 24 * 3600 * 1000


def create_app(database_url: str) -> Starlette:
    """`/mcp` answers `tools/call` and `tasks/get` with what the database says."""
    insert, inserted = _insertion()
    select, selected = _selection()
    url = make_url(database_url)
    where: dict[str, Any] = {"host": url.query["host"], "user": url.username, "database": url.database}

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        pool: Any = await asyncpg.create_pool(min_size=CONNECTIONS, max_size=CONNECTIONS, **where)
        app.state.pool = pool
        yield
        await pool.close()

    async def answer(request: Request) -> Response:
        message = orjson.loads(await request.body())
        pool: Any = request.app.state.pool
        params = message["params"]
        if message["method"] == "tools/call":
            task_id = uuid4().hex
            await pool.execute(insert, *_with(inserted, task_id))
            result = {"resultType": "task", "taskId": task_id, "status": "working"}
        else:
            row = await pool.fetchrow(select, *_with(selected, params["taskId"]))
            result = {"resultType": "complete", "taskId": row["id"], "status": row["status"]}
        body = orjson.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/mcp", answer, methods=["POST"])], lifespan=lifespan)


def _insertion() -> tuple[str, list[Any]]:
    """The statement, and the values of a row whose id is to be replaced."""
    statement, given = insert_new(USUAL_QUOTAS.window, None, unless_known=False, is_sqlite=False)
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "id": ID,
        "owner": "anonymous",
        "method": "tools/call",
        "name": "pause",
        "queue": "default",
        "arguments": '{"milliseconds":600000}',
        "door": "handle",
        "origin": '{"protocolVersion":"2026-07-28","capabilities":{}}',
        "max_retries": 4,
        "max_crashes": 3,
        "priority": 0,
        "retention_ms": DAY_MS,
        "ttl_ms": DAY_MS,
        "place": 0,
    }
    bound = statement.compile(dialect=dialect_of_asyncpg.dialect())
    return _in_order(bound, given.parameters([tuple(row.values())]))


def _selection() -> tuple[str, list[Any]]:
    query = tasks_by_id(is_sqlite=False).compile(dialect=dialect_of_asyncpg.dialect())
    return _in_order(query, given_ids([ID], is_sqlite=False))


def _in_order(compiled: Any, parameters: dict[str, Any]) -> tuple[str, list[Any]]:
    values = {**compiled.params, **parameters}
    return str(compiled), [values[name] for name in compiled.positiontup]


def _with(values: list[Any], task_id: str) -> list[Any]:
    return [task_id if value == ID else [task_id] if value == [ID] else value for value in values]
