"""The shape of the record: SQLModel tables, their checks and their indexes.

The database itself refuses impossible rows (the CHECKs here) and any change to a finished task (triggers in
the first migration). All `…_at` columns are milliseconds since the Unix epoch by the database's clock; JSON is
encoded text, so that what is only carried is never decoded.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Text,
    text,
)
from sqlmodel import Field, SQLModel

TERMINAL_SQL = "('completed', 'failed', 'cancelled')"


def _text() -> Column[str]:
    return Column(Text, nullable=False)


def _optional_text() -> Column[str]:
    return Column(Text, nullable=True)


def _millis() -> Column[int]:
    return Column(BigInteger, nullable=False)


def _optional_millis() -> Column[int]:
    return Column(BigInteger, nullable=True)


def _count(default: int = 0) -> Column[int]:
    return Column(Integer, nullable=False, server_default=text(str(default)))


TASK_CHECKS = {
    "task_status_known": "status IN ('working', 'input_required', 'completed', 'failed', 'cancelled')",
    "task_finished_iff_terminal": f"(finished_at IS NOT NULL) = (status IN {TERMINAL_SQL})",
    "task_outcome_iff_terminal": "(outcome_kind IS NOT NULL) = (finished_at IS NOT NULL)",
    "task_outcome_fits_status": (
        "outcome_kind IS NULL"
        " OR (status = 'completed' AND outcome_kind = 'result' AND outcome IS NOT NULL)"
        " OR (status = 'failed' AND outcome_kind = 'rpc_error' AND outcome IS NOT NULL)"
        " OR (status = 'cancelled' AND outcome_kind = 'cancelled' AND outcome IS NULL)"
    ),
    "task_lease_whole": "(lease_worker IS NULL) = (lease_until IS NULL)",
    "task_lease_only_while_open": f"lease_worker IS NULL OR status NOT IN {TERMINAL_SQL}",
    "task_leased_has_started": "lease_worker IS NULL OR started_at IS NOT NULL",
    "task_dispatch_iff_waiting": (
        "(next_dispatch_at IS NOT NULL) = (status = 'working' AND lease_worker IS NULL)"
    ),
    "task_cancelling_is_held": (
        f"cancel_requested_at IS NULL OR lease_worker IS NOT NULL OR status IN {TERMINAL_SQL}"
    ),
    "task_counts_not_negative": "attempt >= 0 AND retries_used >= 0 AND dispatch_count >= 0",
    "task_crashes_not_negative": "crashes >= 0",
    "task_quarantined_has_failed": "quarantined_at IS NULL OR status = 'failed'",
    "task_paused_waits": "paused_by IS NULL OR next_dispatch_at IS NOT NULL",
    "task_backlog_waits": ("backlog_rank IS NULL OR (next_dispatch_at IS NOT NULL AND announced_at IS NULL)"),
}


# Each holds only the rows that are in that situation, so its size follows the work in flight, not the history.
TASK_PARTIAL_INDEXES = {
    "task_lease": "lease_until",
    "task_expiry": "expires_at",
    "task_quarantine": "quarantined_at",
}


def partial_index(name: str, column: str) -> Index:
    """An index over the rows whose `column` is set."""
    return _index_where(f"{column} IS NOT NULL", name, column)


def _index_where(condition: str, name: str, *columns: str, unique: bool = False) -> Index:
    where = text(condition)
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


class TaskRow(SQLModel, table=True):
    """One task: the handle, the outbox entry and the outcome.

    attempt is the fence: whatever a worker writes is written only if the attempt is still the one it claimed.
    next_dispatch_at is set exactly while the task waits for a worker; when it passes, the queue is told again.
    announced_at is set while a waiting task is in its owner's dispatch window: the queue has been told of it;
    backlog_rank while it waits behind that window, in SQL only: the lowest goes next.
    paused_by says why a waiting task must not be started yet: `backoff` between two attempts, `breaker` of its tool.
    retries_used counts failures that the tool called transient, crashes the deaths of workers; last_error is the
    newest of either. start_by and deadline_at are the queue deadline and the deadline of the whole task.
    quarantined_at marks a dead letter; replay_of names the task that this one repeats.
    log_rows counts the progress and log lines in the event log, which holds only so many of a task.
    session is the client's session that the task came from, session_request the JSON-RPC id of its request in there.
    revision grows with every change a client can see; readers use it to order snapshots.
    """

    __tablename__ = "task"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string
    __table_args__ = (
        *(CheckConstraint(text, name=name) for name, text in TASK_CHECKS.items()),
        *(partial_index(name, column) for name, column in TASK_PARTIAL_INDEXES.items()),
        _index_where("deadline_at IS NOT NULL AND finished_at IS NULL", "task_deadline", "deadline_at"),
        _index_where(
            "start_by IS NOT NULL AND started_at IS NULL AND finished_at IS NULL", "task_start_by", "start_by"
        ),
        _index_where("door = 'handle'", "task_listed", "owner", "created_at", "id"),
        _index_where("session IS NOT NULL", "task_session", "session", "finished_at"),
        _index_where("session_request IS NOT NULL", "task_session_request", "session", "session_request"),
        _index_where("paused_by = 'breaker'", "task_behind_breaker", "name", "next_dispatch_at"),
        _index_where("paused_by = 'breaker'", "task_next_probe", "name", "retries_used", "created_at"),
        _index_where(
            "next_dispatch_at IS NOT NULL AND backlog_rank IS NULL", "task_waiting", "next_dispatch_at"
        ),
        _index_where(
            "announced_at IS NOT NULL AND next_dispatch_at IS NOT NULL", "task_window", "owner", "queue"
        ),
        _index_where("backlog_rank IS NOT NULL", "task_backlog", "owner", "queue", "backlog_rank"),
        _index_where("lease_worker IS NOT NULL", "task_running", "owner"),
        _index_where(
            "idempotency_key IS NOT NULL", "task_idempotency", "owner", "idempotency_key", unique=True
        ),
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_column=_text())
    method: str = Field(sa_column=_text())
    name: str = Field(sa_column=_text())
    queue: str = Field(sa_column=_text())
    arguments: str = Field(sa_column=_text())
    door: str = Field(sa_column=_text())
    origin: str = Field(sa_column=_text())
    status: str = Field(sa_column=_text())
    status_message: str | None = Field(sa_column=_optional_text())
    progress: float | None = Field(sa_column=Column(Float, nullable=True))
    progress_total: float | None = Field(sa_column=Column(Float, nullable=True))
    revision: int = Field(sa_column=Column(Integer, nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    retries_used: int = Field(sa_column=Column(Integer, nullable=False))
    max_retries: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: int = Field(sa_column=_millis())
    updated_at: int = Field(sa_column=_millis())
    started_at: int | None = Field(sa_column=_optional_millis())
    finished_at: int | None = Field(sa_column=_optional_millis())
    next_dispatch_at: int | None = Field(sa_column=_optional_millis())
    dispatch_count: int = Field(sa_column=Column(Integer, nullable=False))
    run_timeout_ms: int | None = Field(sa_column=_optional_millis())
    ttl_ms: int | None = Field(sa_column=_optional_millis())
    retention_ms: int | None = Field(sa_column=_optional_millis())
    expires_at: int | None = Field(sa_column=_optional_millis())
    poll_interval_ms: int | None = Field(sa_column=_optional_millis())
    lease_worker: str | None = Field(sa_column=_optional_text())
    lease_until: int | None = Field(sa_column=_optional_millis())
    cancel_requested_at: int | None = Field(sa_column=_optional_millis())
    outcome_kind: str | None = Field(sa_column=_optional_text())
    outcome: str | None = Field(sa_column=_optional_text())
    priority: int = Field(sa_column=_count())
    crashes: int = Field(sa_column=_count())
    max_crashes: int = Field(sa_column=_count(3))
    last_error: str | None = Field(sa_column=_optional_text())
    start_by: int | None = Field(sa_column=_optional_millis())
    deadline_at: int | None = Field(sa_column=_optional_millis())
    announced_at: int | None = Field(sa_column=_optional_millis())
    paused_by: str | None = Field(sa_column=_optional_text())
    backlog_rank: int | None = Field(sa_column=_optional_millis())
    quarantined_at: int | None = Field(sa_column=_optional_millis())
    replay_of: str | None = Field(sa_column=_optional_text())
    idempotency_key: str | None = Field(sa_column=_optional_text())
    request_digest: str | None = Field(sa_column=_optional_text())
    log_rows: int = Field(sa_column=_count())
    session: str | None = Field(sa_column=_optional_text())
    session_request: str | None = Field(sa_column=_optional_text())


def _task_id(*, primary_key: bool = False) -> Column[str]:
    return Column(Text, ForeignKey("task.id", ondelete="CASCADE"), primary_key=primary_key, nullable=False)


class TaskEventRow(SQLModel, table=True):
    """What happened to a task, append-only: attempts, questions, answers, log lines, coalesced progress.

    Per task, ids follow the order of commits: every insert happens under the task's row lock.
    """

    __tablename__ = "task_event"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string
    __table_args__ = (Index("task_event_task", "task_id", "id"),)

    id: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    )
    task_id: str = Field(sa_column=_task_id())
    at: int = Field(sa_column=_millis())
    kind: str = Field(sa_column=_text())
    body: str = Field(sa_column=_text())


class InputRequestRow(SQLModel, table=True):
    """A question put to the client, and its answer.

    ordinal is how the tool names the question on every run; key is how the client sees it. A rerun that
    asks something else under the same ordinal withdraws the old question and gets a new key: keys are never
    reused. When deadline_at passes unanswered, default_response (the author's default, or what says that nobody
    answered) becomes the response; answered_by says who answered: `client` or `deadline`.
    """

    __tablename__ = "input_request"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string
    __table_args__ = (
        CheckConstraint("(response IS NULL) = (answered_at IS NULL)", name="input_request_answer_whole"),
        _index_where(
            "deadline_at IS NOT NULL AND response IS NULL AND withdrawn_at IS NULL",
            "input_request_deadline",
            "deadline_at",
        ),
    )

    task_id: str = Field(sa_column=_task_id(primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    ordinal: str = Field(sa_column=_text())
    request: str = Field(sa_column=_text())
    asked_at: int = Field(sa_column=_millis())
    response: str | None = Field(sa_column=_optional_text())
    answered_at: int | None = Field(sa_column=_optional_millis())
    withdrawn_at: int | None = Field(sa_column=_optional_millis())
    deadline_at: int | None = Field(sa_column=_optional_millis())
    default_response: str | None = Field(sa_column=_optional_text())
    answered_by: str | None = Field(sa_column=_optional_text())


class CheckpointRow(SQLModel, table=True):
    """What `ctx.step` remembers: the value of a step that has been done."""

    __tablename__ = "checkpoint"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    task_id: str = Field(sa_column=_task_id(primary_key=True))
    name: str = Field(sa_column=Column(Text, primary_key=True))
    value: str = Field(sa_column=_text())
    at: int = Field(sa_column=_millis())


class ArtifactRow(SQLModel, table=True):
    """A file a task has produced: what it is, and where its bytes lie (relative to the artifact store)."""

    __tablename__ = "artifact"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    task_id: str = Field(sa_column=_task_id(primary_key=True))
    name: str = Field(sa_column=Column(Text, primary_key=True))
    mime_type: str = Field(sa_column=_text())
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(sa_column=_text())
    location: str = Field(sa_column=_text())
    created_at: int = Field(sa_column=_millis())


class ManifestRow(SQLModel, table=True):
    """What some worker offers, stored once however many workers offer the same."""

    __tablename__ = "manifest"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    digest: str = Field(sa_column=Column(Text, primary_key=True))
    content: str = Field(sa_column=_text())


class WorkerRow(SQLModel, table=True):
    """A worker process: alive while `renewed_at` is recent and `stopped_at` is empty.

    picked_at is when it last looked into its queues: one that renews itself but does not look is stuck.
    trouble says what its maintenance fails at, in a line; empty while all is well.
    """

    __tablename__ = "worker"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    id: str = Field(sa_column=Column(Text, primary_key=True))
    host: str = Field(sa_column=_text())
    pid: int = Field(sa_column=Column(Integer, nullable=False))
    concurrency: int = Field(sa_column=Column(Integer, nullable=False))
    manifest_digest: str = Field(sa_column=_text())
    started_at: int = Field(sa_column=_millis())
    renewed_at: int = Field(sa_column=_millis())
    stopped_at: int | None = Field(sa_column=_optional_millis())
    picked_at: int | None = Field(sa_column=_optional_millis())
    trouble: str | None = Field(sa_column=_optional_text())


class BreakerRow(SQLModel, table=True):
    """The circuit breaker of a tool, shared by all workers; a tool that has never failed has none.

    failures counts transient failures in a row, several of one task as one; failed_task was the last. While open_until
    lies ahead nothing of this tool is started; then probe_task may run, alone for as long as it is leased, and its
    end decides. cooldown_ms is how long the next pause will be. A closed one without failures is only there until
    the tasks that it held back are due.
    """

    __tablename__ = "breaker"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    tool: str = Field(sa_column=Column(Text, primary_key=True))
    failures: int = Field(sa_column=_count())
    cooldown_ms: int = Field(sa_column=_millis())
    opened_at: int | None = Field(sa_column=_optional_millis())
    open_until: int | None = Field(sa_column=_optional_millis())
    probe_task: str | None = Field(sa_column=_optional_text())
    failed_task: str | None = Field(sa_column=_optional_text())
    last_error: str | None = Field(sa_column=_optional_text())


class SessionRow(SQLModel, table=True):
    """What can change about a client's session; one without a row is as its token says.

    revision and capabilities are here only where the token is older than the handshake (2024-11-05). The row outlives
    the token: what has ended must not come back.
    """

    __tablename__ = "session"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string
    __table_args__ = (Index("session_expiry", "expires_at"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_column=_text())
    revision: str | None = Field(sa_column=_optional_text())
    capabilities: str | None = Field(sa_column=_optional_text())
    log_level: str | None = Field(sa_column=_optional_text())
    ended_at: int | None = Field(sa_column=_optional_millis())
    expires_at: int = Field(sa_column=_millis())


class SessionSubscriptionRow(SQLModel, table=True):
    """A resource whose changes a session wants to hear of."""

    __tablename__ = "session_subscription"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    session_id: str = Field(
        sa_column=Column(Text, ForeignKey("session.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    uri: str = Field(sa_column=Column(Text, primary_key=True))


class IdentityRow(SQLModel, table=True):
    """Who this record is, in its only row: an artifact store belongs to the database whose name it carries."""

    __tablename__ = "identity"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string
    __table_args__ = (CheckConstraint("one = 1", name="identity_is_one"),)

    one: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    name: str = Field(sa_column=_text())


# The Core tables behind the models: statements use these, no ORM object ever travels.
_TABLES = SQLModel.metadata.tables
TASK = _TABLES["task"]
TASK_EVENT = _TABLES["task_event"]
INPUT_REQUEST = _TABLES["input_request"]
CHECKPOINT = _TABLES["checkpoint"]
ARTIFACT = _TABLES["artifact"]
MANIFEST = _TABLES["manifest"]
WORKER = _TABLES["worker"]
BREAKER = _TABLES["breaker"]
IDENTITY = _TABLES["identity"]
SESSION = _TABLES["session"]
SESSION_SUBSCRIPTION = _TABLES["session_subscription"]
