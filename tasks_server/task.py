"""What a task is: its statuses, the moves between them, and the frozen value that is passed around.

No I/O here. All times are integers: milliseconds since the Unix epoch, taken from the database's clock.
JSON that is only carried (arguments, outcome, questions) stays encoded text until somebody must look inside.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class TaskStatus(StrEnum):
    """The five words of the protocol, stored as they are on the wire.

    Waiting in the queue is `WORKING` without `started_at`; a cancellation that is under way is
    `cancel_requested_at` beside the status, not a status of its own.
    """

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})
OPEN = frozenset({TaskStatus.WORKING, TaskStatus.INPUT_REQUIRED})

TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.WORKING: frozenset({TaskStatus.INPUT_REQUIRED, *TERMINAL}),
    TaskStatus.INPUT_REQUIRED: frozenset({TaskStatus.WORKING, *TERMINAL}),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
}


class Method(StrEnum):
    """The request that a task carries out. Only `CALL_TOOL` tasks are ever handed out as handles."""

    CALL_TOOL = "tools/call"
    GET_PROMPT = "prompts/get"
    READ_RESOURCE = "resources/read"
    COMPLETE = "completion/complete"


class OutcomeKind(StrEnum):
    """How a task ended, in words that neither protocol revision owns.

    `RESULT` includes tool results with `isError`: 2026-07-28 calls those completed, 2025-11-25 failed.
    """

    RESULT = "result"
    RPC_ERROR = "rpc_error"
    CANCELLED = "cancelled"


class PausedBy(StrEnum):
    """Why a waiting task must not be started yet."""

    BACKOFF = "backoff"
    BREAKER = "breaker"


STATUS_OF_OUTCOME = {
    OutcomeKind.RESULT: TaskStatus.COMPLETED,
    OutcomeKind.RPC_ERROR: TaskStatus.FAILED,
    OutcomeKind.CANCELLED: TaskStatus.CANCELLED,
}

LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100

ATTACHED_ANSWER_SECONDS = 60 * 60
"""How long the question of an attached call may be answered: the task waits, and its `requestState` is good."""


HANDSHAKE_REVISIONS = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})
"""The protocol revisions that begin with `initialize`. Their streams are resumed, so log lines come from the record."""


class Door(StrEnum):
    """How the caller waits for the task."""

    HANDLE = "handle"
    ATTACHED = "attached"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a task came from, and what its caller is able to answer.

    capabilities: the ClientCapabilities object of the request that created the task; it decides which
    questions may be asked. log_level: the least severe level the caller asked to see, if any. progress_token: what
    progress is told under for the task's whole life. session and request_id: the session that the request came in,
    and its JSON-RPC id, which is unique in there.
    """

    door: Door
    protocol_version: str
    capabilities: dict[str, Any]
    log_level: str | None = None
    progress_token: str | int | None = None
    session: str | None = None
    request_id: str | int | None = None

    @property
    def has_handshake(self) -> bool:
        return self.protocol_version in HANDSHAKE_REVISIONS

    @property
    def wants_progress(self) -> bool:
        """Whether live progress is of use to anybody: to a caller that waits, or under a token that stays valid."""
        return self.door is Door.ATTACHED or self.progress_token is not None


@dataclass(frozen=True, slots=True)
class InputRequest:
    """A question put to the client. `request` is the wire object `{"method": …, "params": …}`, encoded."""

    key: str
    request: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is, in the tool's own unit. Never decreases within an attempt."""

    progress: float
    total: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """An entry of a task's event log that clients are told of: kind is `log` (level, data, logger) or `question` (key).

    Per task, ids follow the order of commits.
    """

    id: int
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the record at one instant, with the questions that were outstanding at that instant.

    revision grows with every change a client can see, and orders snapshots of one task. retries_used counts
    failures that the tool called transient, crashes the deaths of workers; last_error is the newest of either.
    start_by and deadline_at: when the task must have been started, and must have ended.
    """

    id: str
    owner: str
    method: Method
    name: str
    queue: str
    status: TaskStatus
    status_message: str | None
    progress: float | None
    progress_total: float | None
    arguments: str
    origin: Origin
    revision: int
    attempt: int
    retries_used: int
    max_retries: int
    created_at: int
    updated_at: int
    started_at: int | None
    finished_at: int | None
    ttl_ms: int | None
    poll_interval_ms: int | None
    run_timeout_ms: int | None
    lease_worker: str | None
    lease_until: int | None
    cancel_requested_at: int | None
    outcome_kind: OutcomeKind | None
    outcome: str | None
    priority: int
    crashes: int
    max_crashes: int
    last_error: str | None
    start_by: int | None
    deadline_at: int | None
    input_requests: tuple[InputRequest, ...] = ()

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    def asking(self, input_requests: tuple[InputRequest, ...]) -> Task:
        """The same task with its outstanding questions filled in."""
        return replace(self, input_requests=input_requests)


def new_task_id() -> str:
    """128 random bits: a handle that nobody can guess."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class NewTask:
    """What the caller of `TaskService.submit` decides; everything else about a task the record decides.

    retention_ms: how long the task is kept once it has finished (None: for ever); before, it does not expire.
    answers: responses to questions that were asked before the task existed, by question key.
    start_within_ms, deadline_ms: how soon the task must have been started and must have ended, from its creation.
    priority orders tasks of one owner, higher first. idempotency_key: what is submitted again under the same key of
    the same owner is the task that is there already. replay_of: the task that this one repeats.
    """

    owner: str
    method: Method
    name: str
    queue: str
    arguments: str
    origin: Origin
    retention_ms: int | None
    poll_interval_ms: int | None
    run_timeout_ms: int | None
    max_retries: int
    status_message: str | None = None
    answers: tuple[tuple[InputRequest, str], ...] = ()
    max_crashes: int = 3
    priority: int = 0
    start_within_ms: int | None = None
    deadline_ms: int | None = None
    idempotency_key: str | None = None
    replay_of: str | None = None
    id: str = field(default_factory=new_task_id)
