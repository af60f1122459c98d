"""One piece of work, as the runner hands it over and as a subprocess receives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tasks_server.task import Method


@dataclass(frozen=True, slots=True)
class Work:
    """name: of the tool or prompt; the URI for resources/read; empty for completion/complete.

    arguments: of the tool or prompt; empty for resources/read; the request's whole params (`ref`, `argument`,
    `context`) for completion/complete. answers: ElicitResult objects of the questions that were asked before
    the task existed, by key.
    """

    method: Method
    name: str
    arguments: dict[str, Any]
    task_id: str
    attempt: int
    answers: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Work:
        """The inverse of `dataclasses.asdict`, after a journey as JSON."""
        return cls(
            method=Method(fields["method"]),
            name=fields["name"],
            arguments=fields["arguments"],
            task_id=fields["task_id"],
            attempt=fields["attempt"],
            answers=fields["answers"],
        )
