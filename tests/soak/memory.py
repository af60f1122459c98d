"""What the clients of a soak were told: handles, outcomes, and everything that contradicts itself."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

TERMINAL = frozenset({"completed", "failed", "cancelled"})
SHOWN = ("status", "statusMessage", "result", "error", "createdAt", "lastUpdatedAt", "ttlMs")


@dataclass
class Handle:
    """A task id that a server has returned, and what was seen of its task. end: the terminal state seen first."""

    task_id: str
    tool: str
    arguments: dict[str, Any]
    key: str | None
    name: str | None = None
    cancel_asked: bool = False
    end: dict[str, Any] | None = None
    end_seen_by: set[str] = field(default_factory=set[str])

    @property
    def token(self) -> str:
        return self.arguments["token"]


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that must not happen. task_id: whose events are the evidence, if there is one."""

    what: str
    task_id: str | None = None


class Memory:
    """Shared by all clients. retries counts requests by how often they had to be sent again."""

    def __init__(self) -> None:
        self.handles: dict[str, Handle] = {}
        self.keys: dict[str, set[str]] = {}
        self.complaints: list[Complaint] = []
        self.retries: Counter[int] = Counter()
        self.reconnections = 0
        self.submissions = 0
        self.duplicates = 0
        self.finished_at: list[float] = []

    def given(self, handle: Handle) -> Handle:
        """A server has returned this handle."""
        if handle.key is not None:
            self.keys.setdefault(handle.key, set()).add(handle.task_id)
        known = self.handles.setdefault(handle.task_id, handle)
        if known.token != handle.token:
            self.complain("one task id was given out for two calls", handle.task_id)
        return known

    def shown(self, task: dict[str, Any], source: str) -> bool:
        """A server has shown this state of a task; True when it is an end. source: poll, listen or audit."""
        handle = self.handles[task["taskId"]]
        state = {name: task[name] for name in SHOWN if name in task}
        ends = task["status"] in TERMINAL
        if handle.end is not None and state != handle.end:
            self.complain(f"{source} shows {state}\n  after {handle.end}", handle.task_id)
        elif ends and handle.end is None:
            handle.end = state
            self.finished_at.append(time.time())
        if ends:
            handle.end_seen_by.add(source)
        return ends

    def complain(self, what: str, task_id: str | None = None) -> None:
        self.complaints.append(Complaint(what, task_id))
