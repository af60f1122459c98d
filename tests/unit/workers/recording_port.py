"""A TaskPort over dictionaries, for tools without a task behind them."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from workers.port import StoredArtifact, TaskPort


class RecordingPort(TaskPort):
    """Remembers everything it was told. A question waits until the test answers its key."""

    def __init__(self, answers: dict[str, dict[str, Any]] | None = None) -> None:
        self.progress: list[tuple[float, float | None, str | None]] = []
        self.statuses: list[str] = []
        self.lines: list[tuple[str, Any, str | None]] = []
        self.questions: dict[str, tuple[str, dict[str, Any]]] = {}
        self.deadlines: dict[str, tuple[int | None, dict[str, Any] | None]] = {}
        self.given_up: list[str] = []
        self.steps: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.announced: list[str] = []
        self.times_published = 0
        self.fault: Exception | None = None
        self._answers = answers or {}
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def answer(self, key: str, **content: Any) -> None:
        self._waiting[key].set_result({"action": "accept", "content": content})

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
        if self.fault is not None:
            raise self.fault
        self.progress.append((progress, total, message))

    async def report_status(self, message: str) -> None:
        self.statuses.append(message)

    async def log(self, level: str, data: Any, logger: str | None) -> None:
        self.lines.append((level, data, logger))

    async def request_input(
        self,
        key: str | None,
        method: str,
        params: dict[str, Any],
        within_ms: int | None = None,
        default: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        key = key or f"question-{len(self.questions) + 1}"
        self.questions[key] = (method, params)
        self.deadlines[key] = (within_ms, default)
        if key in self._answers:
            return self._answers[key]
        self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            return await self._waiting[key]
        except asyncio.CancelledError:
            self.given_up.append(key)
            raise

    async def recall(self, step: str) -> tuple[bool, Any]:
        return step in self.steps, self.steps.get(step)

    async def remember(self, step: str, value: Any) -> None:
        self.steps[step] = value

    async def save_artifact(self, name: str, source: Path, mime_type: str) -> StoredArtifact:
        content = await asyncio.to_thread(source.read_bytes)
        self.files[name] = content
        digest = hashlib.sha256(content).hexdigest()
        return StoredArtifact(f"artifact://task/{name}", name, mime_type, len(content), digest)

    async def announce_resource(self, uri: str) -> None:
        self.announced.append(uri)

    async def publish_catalog(self) -> None:
        self.times_published += 1
