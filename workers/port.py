"""The seam between a tool's context and whatever runs it.

`TaskContext` speaks only to a `TaskPort`. In the worker process the port is the runner's own session, which
writes to SQL and publishes on the bus; in a tool's subprocess it is a pipe to that session. Everything that
crosses it is JSON-shaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """A file that now lies in the artifact store. size in bytes; sha256 in hex."""

    uri: str
    name: str
    mime_type: str
    size: int
    sha256: str


class TaskPort(Protocol):
    """What a running tool may ask of its worker."""

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None: ...

    async def report_status(self, message: str) -> None: ...

    async def log(self, level: str, data: Any, logger: str | None) -> None: ...

    async def request_input(
        self,
        key: str | None,
        method: str,
        params: dict[str, Any],
        within_ms: int | None = None,
        default: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Put a question to the client and wait for its response; whoever stops waiting takes the question back.

        key None lets the port number the question. After within_ms the response is the default, or, without
        one, what `elicitation.no_answer` says. The wait may end with the run being cancelled because the
        task was parked; the rerun gets the response at once.

        Raises MissingCapability when the client of this task cannot answer such a question.
        """
        ...

    async def recall(self, step: str) -> tuple[bool, Any]:
        """(True, value) if this task has remembered `step` in this or an earlier attempt."""
        ...

    async def remember(self, step: str, value: Any) -> None: ...

    async def save_artifact(self, name: str, source: Path, mime_type: str) -> StoredArtifact:
        """Copy the file at `source` into the artifact store under this task. Raises Transient when that fails."""
        ...

    async def announce_resource(self, uri: str) -> None: ...

    async def publish_catalog(self) -> None: ...
