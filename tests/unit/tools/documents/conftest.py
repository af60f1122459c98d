"""Runs the real tool over a recording port, in this process: what the worker's subprocess does, but quicker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks_server.task import Method
from tests.unit.workers.recording_port import RecordingPort
from workers.definition import ATTRIBUTE, ToolDefinition
from workers.execution.calling import Surroundings
from workers.execution.perform import call_here, reported
from workers.execution.work import Work
from workers.tools.documents import convert_document


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the tool answered, and everything it told the port on the way."""

    result: dict[str, Any]
    port: RecordingPort

    @property
    def text(self) -> str:
        return next(block["text"] for block in self.result["content"] if block["type"] == "text")

    @property
    def error(self) -> str:
        assert self.result["isError"], f"expected an error, got: {self.text}"
        return self.text

    @property
    def converted(self) -> dict[str, Any]:
        assert not self.result["isError"], self.text
        return self.result["structuredContent"]

    @property
    def markdown(self) -> str:
        return self.port.files[self.converted["markdown"]["name"]].decode()

    @property
    def warnings(self) -> str:
        return "\n".join(self.converted["warnings"])


Convert = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory that the tool may read."""
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setenv("TASKS_FILE_ROOTS", f'["{root}"]')
    return root


@pytest.fixture
def convert(room: Path) -> Convert:
    """`await convert("file.pdf", pages="1-3")`, with a port of the caller's own or a new one."""

    async def run(source: str, port: RecordingPort | None = None, **arguments: Any) -> Outcome:
        definition: ToolDefinition = getattr(convert_document, ATTRIBUTE)
        port = port or RecordingPort()
        work = Work(Method.CALL_TOOL, "convert_document", {"source": source, **arguments}, "task", 1)
        return Outcome(
            await reported(definition, work, call_here(definition, work, Surroundings(port))), port
        )

    return run
