"""The scripts of docs/clients.md do what the page says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult

from demo.document import PAGES, write_report
from tests.sdk.agent import Agent
from tests.support.processes import ProcessStarter

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text()
SCRIPTS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
SCRIPT_SECONDS = 60
ADDRESS = "http://127.0.0.1:8000/mcp"


class Reader:
    """Somebody who copies the scripts into a directory and runs them."""

    def __init__(self, starter: ProcessStarter) -> None:
        self._starter = starter
        self.address = ""

    async def begin(self) -> None:
        write_report(self._starter.directory / "report.pdf")
        server = self._starter.tasks_server("dev", "--port", "0", env={"PYTHONPATH": str(ROOT)})
        self.address = (await server.line(r"http://\S+/mcp\b"))[0]
        for name, text in SCRIPTS.items():
            assert ADDRESS in text
            (self._starter.directory / name).write_text(text.replace(ADDRESS, self.address))

    async def runs(self, script: str, *arguments: str) -> str:
        """What the script prints."""
        process = self._starter.start(sys.executable, script, *arguments, env={"PYTHONPATH": str(ROOT)})
        assert await process.ended(SCRIPT_SECONDS) == 0, process.output
        return process.output


async def take_all(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"convert": "all"})


@pytest.fixture
async def reader(start: ProcessStarter) -> Reader:
    reader = Reader(start)
    await reader.begin()
    return reader


def test_every_script_of_the_page_is_tried() -> None:
    assert len(SCRIPTS) == PAGE.count("```python")
    assert set(SCRIPTS) == {"first.py", "leave.py", "collect.py", "patient.py"}


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_scripts_do_what_the_page_says(reader: Reader) -> None:
    first = await reader.runs("first.py")
    assert f"report.pdf has {PAGES} pages. Convert all of them" in first
    assert re.search(rf"^\d+ of {PAGES}: page \d+ of {PAGES}$", first, re.MULTILINE)
    assert f"Converted report.pdf (pdf): {PAGES} of {PAGES} pages" in first

    task_id = (await reader.runs("leave.py")).strip()
    collected = await reader.runs("collect.py", task_id)
    assert collected.startswith(("working\n", "completed\n"))
    assert f"{PAGES} of {PAGES} pages" in collected
    assert "Too late" in await reader.runs("collect.py", "0" * 32)

    left = await reader.runs("patient.py")
    known = re.search(r"Task (\w+) goes on, and is (?:working|input_required)\.", left)
    assert known, left
    agent = Agent(reader.address)
    async with agent.connected(elicitation_callback=take_all) as client:
        result = await agent.tasks.attach(client, known[1]).result()
    assert not result.is_error
