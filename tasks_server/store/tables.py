"""The shape of the record: SQLModel tables, their checks and their indexes.

The database itself refuses impossible rows (the CHECKs here) and any change to a finished task (triggers in
the first migration). All `…_at` columns are milliseconds since the Unix epoch by the database's clock; JSON is
encoded text, so that what is only carried is never decoded.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Text
from sqlmodel import Field, SQLModel

from tasks_server.store import columns
from tasks_server.store.task_table import TaskRow


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
    task_id: str = Field(sa_column=columns.of_task())
    at: int = Field(sa_column=columns.millis())
    kind: str = Field(sa_column=columns.text())
    body: str = Field(sa_column=columns.text())


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
        columns.index_where(
            "deadline_at IS NOT NULL AND response IS NULL AND withdrawn_at IS NULL",
            "input_request_deadline",
            "deadline_at",
        ),
    )

    task_id: str = Field(sa_column=columns.of_task(primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    ordinal: str = Field(sa_column=columns.text())
    request: str = Field(sa_column=columns.text())
    asked_at: int = Field(sa_column=columns.millis())
    response: str | None = Field(sa_column=columns.optional_text())
    answered_at: int | None = Field(sa_column=columns.optional_millis())
    withdrawn_at: int | None = Field(sa_column=columns.optional_millis())
    deadline_at: int | None = Field(sa_column=columns.optional_millis())
    default_response: str | None = Field(sa_column=columns.optional_text())
    answered_by: str | None = Field(sa_column=columns.optional_text())


class CheckpointRow(SQLModel, table=True):
    """What `ctx.step` remembers: the value of a step that has been done."""

    __tablename__ = "checkpoint"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    task_id: str = Field(sa_column=columns.of_task(primary_key=True))
    name: str = Field(sa_column=Column(Text, primary_key=True))
    value: str = Field(sa_column=columns.text())
    at: int = Field(sa_column=columns.millis())


class ArtifactRow(SQLModel, table=True):
    """A file a task has produced: what it is, and where its bytes lie (relative to the artifact store)."""

    __tablename__ = "artifact"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    task_id: str = Field(sa_column=columns.of_task(primary_key=True))
    name: str = Field(sa_column=Column(Text, primary_key=True))
    mime_type: str = Field(sa_column=columns.text())
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(sa_column=columns.text())
    location: str = Field(sa_column=columns.text())
    created_at: int = Field(sa_column=columns.millis())


class ManifestRow(SQLModel, table=True):
    """What some worker offers, stored once however many workers offer the same."""

    __tablename__ = "manifest"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    digest: str = Field(sa_column=Column(Text, primary_key=True))
    content: str = Field(sa_column=columns.text())


class WorkerRow(SQLModel, table=True):
    """A worker process: alive while `renewed_at` is recent and `stopped_at` is empty.

    picked_at is when it last looked into its queues: one that renews itself but does not look is stuck.
    trouble says what its maintenance fails at, in a line; empty while all is well.
    """

    __tablename__ = "worker"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    id: str = Field(sa_column=Column(Text, primary_key=True))
    host: str = Field(sa_column=columns.text())
    pid: int = Field(sa_column=Column(Integer, nullable=False))
    concurrency: int = Field(sa_column=Column(Integer, nullable=False))
    manifest_digest: str = Field(sa_column=columns.text())
    started_at: int = Field(sa_column=columns.millis())
    renewed_at: int = Field(sa_column=columns.millis())
    stopped_at: int | None = Field(sa_column=columns.optional_millis())
    picked_at: int | None = Field(sa_column=columns.optional_millis())
    trouble: str | None = Field(sa_column=columns.optional_text())


class BreakerRow(SQLModel, table=True):
    """The circuit breaker of a tool, shared by all workers; a tool that has never failed has none.

    failures counts transient failures in a row, several of one task as one; failed_task was the last. While open_until
    lies ahead nothing of this tool is started; then probe_task may run, alone for as long as it is leased, and its
    end decides. cooldown_ms is how long the next pause will be. A closed one without failures is only there until
    the tasks that it held back are due.
    """

    __tablename__ = "breaker"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string

    tool: str = Field(sa_column=Column(Text, primary_key=True))
    failures: int = Field(sa_column=columns.count())
    cooldown_ms: int = Field(sa_column=columns.millis())
    opened_at: int | None = Field(sa_column=columns.optional_millis())
    open_until: int | None = Field(sa_column=columns.optional_millis())
    probe_task: str | None = Field(sa_column=columns.optional_text())
    failed_task: str | None = Field(sa_column=columns.optional_text())
    last_error: str | None = Field(sa_column=columns.optional_text())


class SessionRow(SQLModel, table=True):
    """What can change about a client's session; one without a row is as its token says.

    The row outlives the token: what has ended must not come back.
    """

    __tablename__ = "session"  # pyright: ignore[reportAssignmentType] - SQLModel reads a plain string
    __table_args__ = (Index("session_expiry", "expires_at"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_column=columns.text())
    log_level: str | None = Field(sa_column=columns.optional_text())
    ended_at: int | None = Field(sa_column=columns.optional_millis())
    expires_at: int = Field(sa_column=columns.millis())


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
    name: str = Field(sa_column=columns.text())


# The Core tables behind the models: statements use these, no ORM object ever travels.
_TABLES = TaskRow.metadata.tables
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
