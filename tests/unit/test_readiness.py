"""`tasks-server dev` says that it is ready when it is, and what a person needs then."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tasks_server.embedded.readiness import NewWorker, banner, until_answering
from tasks_server.listener import listen
from tasks_server.manifest import Manifest, ToolOffer
from tasks_server.settings import Settings
from tasks_server.store.database import Database
from tasks_server.store.roster import Roster


def offering(name: str) -> Manifest:
    tool = ToolOffer(name=name, description=name, input_schema={"type": "object"}, queue="default")
    return Manifest(tools=(tool,))


async def enter(database_url: str, worker_id: str, manifest: Manifest) -> None:
    database = Database(database_url)
    await Roster(database).enter(worker_id, host="here", pid=1, concurrency=1, manifest=manifest)
    await database.close()


async def test_a_worker_of_an_earlier_run_is_not_taken_for_the_new_one(database_url: str):
    await enter(database_url, "earlier", offering("old"))
    newcomer = NewWorker(database_url)
    await newcomer.remember_earlier()
    waiting = asyncio.create_task(newcomer.manifest())
    await enter(database_url, "later", offering("new"))
    async with asyncio.timeout(10):
        assert await waiting == offering("new")
    await newcomer.close()


async def test_a_server_that_is_not_ready_or_knows_no_worker_is_asked_again():
    asked: list[bytes] = []
    answers = [
        (b"503 Service Unavailable", b'{"workers":true}'),
        (b"200 OK", b'{"workers":false}'),
        (b"200 OK", b'{"workers":true}'),
    ]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        status, body = answers[len(asked) - 1]
        writer.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n\r\n" + body)
        writer.close()

    listener = listen("127.0.0.1", 0)
    async with await asyncio.start_server(answer, sock=listener), asyncio.timeout(10):
        await until_answering(listener)
    assert [request.split()[1] for request in asked] == [b"/readyz"] * 3


def test_the_banner_tells_where_and_what():
    settings: dict[str, Any] = {"file_roots": (Path("/srv/papers"),)}
    text = banner("http://127.0.0.1:8000", ["add", "convert"], Settings(**settings), Path("/data"))
    assert "http://127.0.0.1:8000/mcp" in text
    assert "add, convert" in text
    assert "may read (never write) /srv/papers" in text
    assert "/data" in text


def test_the_banner_of_a_server_that_opens_no_files_says_so():
    settings: dict[str, Any] = {"file_roots": ()}
    assert "tools read no files" in banner("http://x", [], Settings(**settings), Path("/data"))
