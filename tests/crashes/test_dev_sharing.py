"""Who works on one data directory at the same time works alike; who comes later finds no ghosts."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.crashes.client import Client
from tests.crashes.forked import ForkingStarter
from tests.crashes.test_dev import ROOT, TOOLS, client_of, refuses
from tests.support.processes import ProcessStarter, Started, all_gone
from tests.support.waiting import wait_until

NOTES = """
from workers import tool


@tool()
async def take_note(text: str) -> str:
    '''Take a note.'''
    return text
"""


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=20) as client:
        yield client


@pytest.fixture
def start(fork: ForkingStarter) -> ProcessStarter:
    return fork


def environment(**settings: str) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT)} | {f"TASKS_{name.upper()}": value for name, value in settings.items()}


def dev(start: ProcessStarter, *arguments: str, cwd: Path | None = None, **settings: str) -> Started:
    data = ("--data-dir", str(start.directory / "data"))
    return start.tasks_server("dev", "--port", "0", *data, *arguments, cwd=cwd, env=environment(**settings))


def worker(start: ProcessStarter, *arguments: str, **settings: str) -> Started:
    data = ("--data-dir", str(start.directory / "data"))
    return start.tasks_server("worker", *data, *arguments, env=environment(**settings))


def project(start: ProcessStarter, name: str) -> Path:
    directory = start.directory / name
    directory.mkdir()
    return directory


async def test_a_worker_joins_a_dev_by_its_data_directory(start: ProcessStarter, http: httpx2.AsyncClient):
    (start.directory / "notes.py").write_text(NOTES)
    running = dev(start)
    client = await client_of(running, http)
    assert "tasks-server worker --data-dir" in running.output
    joined = worker(start, "--tools", "notes", prot="1")
    await joined.line("offers take_note")
    assert joined.output.count("TASKS_PROT is no setting") == 1
    await client.completed(await client.submit("take_note", text="milk"))
    assert await joined.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("directory", ["data", "never-made"])
async def test_a_worker_cannot_join_where_nobody_runs(start: ProcessStarter, directory: str):
    (start.directory / "data").mkdir()
    joined = start.tasks_server("worker", "--data-dir", directory, env=environment())
    await refuses(joined, f"No `tasks-server dev` runs on .*/{directory}. Start one there first")
    assert not (start.directory / "never-made").exists()


async def test_a_worker_that_is_told_nothing_hears_how_to_join(start: ProcessStarter):
    refusal = r"TASKS_DATABASE_URL is not set\. .* --data-dir \.tasks-server"
    await refuses(start.tasks_server("worker", env=environment()), refusal)


async def test_everybody_on_one_data_directory_reads_the_same_files(
    start: ProcessStarter, http: httpx2.AsyncClient
):
    first = dev(start, cwd=project(start, "one"))
    await client_of(first, http)
    second = dev(start, cwd=project(start, "two"))
    await client_of(second, http)
    for started in (first, second):
        assert f"may read (never write) {start.directory / 'one'};" in started.output
    assert "as who runs here already" in second.output
    assert "as who runs here already" not in first.output


async def test_settings_that_contradict_those_of_who_runs_already_are_refused(
    start: ProcessStarter, http: httpx2.AsyncClient
):
    await client_of(dev(start, cwd=project(start, "one")), http)
    other = json.dumps([str(project(start, "two"))])
    refusal = r"TASKS_FILE_ROOTS is \[.*two.*\], but who already runs on .*data works with \[.*one"
    await refuses(dev(start, file_roots=other), refusal)
    await refuses(worker(start, file_roots=other), refusal)
    agreeing = json.dumps([str(start.directory / "one")])
    await client_of(dev(start, file_roots=agreeing), http)


async def test_a_file_root_that_is_gone_is_told_in_a_line_of_the_worker(start: ProcessStarter):
    await refuses(
        dev(start, file_roots='["/no/such/place"]'), "TASKS_FILE_ROOTS: there is no directory /no/such"
    )


async def test_whoever_starts_when_nobody_runs_decides_anew(start: ProcessStarter, http: httpx2.AsyncClient):
    first = dev(start, cwd=project(start, "one"))
    await client_of(first, http)
    assert await first.stop(signal.SIGKILL) == -9
    await all_gone([child.pid for child in first.descendants()])
    second = dev(start, cwd=project(start, "two"))
    await client_of(second, http)
    assert f"may read (never write) {start.directory / 'two'};" in second.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_tools_of_an_earlier_run_are_gone(
    start: ProcessStarter, http: httpx2.AsyncClient, number: signal.Signals
):
    first = dev(start, "--tools", TOOLS)
    await client_of(first, http)
    await first.stop(number)
    await all_gone([child.pid for child in first.descendants()])
    client: Client = await client_of(dev(start), http)

    async def only_its_own() -> bool:
        return "wait_for_file" not in await client.tools()

    await wait_until(only_its_own, 3, describing="only the tools of this run")
    assert "convert_document" in await client.tools()
