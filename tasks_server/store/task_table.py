"""The table of tasks: its columns, the rows that it refuses, and its indexes."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Float, Integer, Text
from sqlmodel import Field, SQLModel

from tasks_server.store import columns

TERMINAL_SQL = "('completed', 'failed', 'cancelled')"

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
        *(
            columns.index_where(f"{column} IS NOT NULL", name, column)
            for name, column in TASK_PARTIAL_INDEXES.items()
        ),
        columns.index_where(
            "deadline_at IS NOT NULL AND finished_at IS NULL", "task_deadline", "deadline_at"
        ),
        columns.index_where(
            "start_by IS NOT NULL AND started_at IS NULL AND finished_at IS NULL", "task_start_by", "start_by"
        ),
        columns.index_where("door = 'handle'", "task_listed", "owner", "created_at", "id"),
        columns.index_where("session IS NOT NULL", "task_session", "session", "finished_at"),
        columns.index_where(
            "session_request IS NOT NULL", "task_session_request", "session", "session_request"
        ),
        columns.index_where("paused_by = 'breaker'", "task_behind_breaker", "name", "next_dispatch_at"),
        columns.index_where("paused_by = 'breaker'", "task_next_probe", "name", "retries_used", "created_at"),
        columns.index_where(
            "next_dispatch_at IS NOT NULL AND backlog_rank IS NULL", "task_waiting", "next_dispatch_at"
        ),
        columns.index_where(
            "announced_at IS NOT NULL AND next_dispatch_at IS NOT NULL", "task_window", "owner", "queue"
        ),
        columns.index_where("backlog_rank IS NOT NULL", "task_backlog", "owner", "queue", "backlog_rank"),
        columns.index_where("lease_worker IS NOT NULL", "task_running", "owner"),
        columns.index_where(
            "idempotency_key IS NOT NULL", "task_idempotency", "owner", "idempotency_key", unique=True
        ),
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_column=columns.text())
    method: str = Field(sa_column=columns.text())
    name: str = Field(sa_column=columns.text())
    queue: str = Field(sa_column=columns.text())
    arguments: str = Field(sa_column=columns.text())
    door: str = Field(sa_column=columns.text())
    origin: str = Field(sa_column=columns.text())
    status: str = Field(sa_column=columns.text())
    status_message: str | None = Field(sa_column=columns.optional_text())
    progress: float | None = Field(sa_column=Column(Float, nullable=True))
    progress_total: float | None = Field(sa_column=Column(Float, nullable=True))
    revision: int = Field(sa_column=Column(Integer, nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    retries_used: int = Field(sa_column=Column(Integer, nullable=False))
    max_retries: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: int = Field(sa_column=columns.millis())
    updated_at: int = Field(sa_column=columns.millis())
    started_at: int | None = Field(sa_column=columns.optional_millis())
    finished_at: int | None = Field(sa_column=columns.optional_millis())
    next_dispatch_at: int | None = Field(sa_column=columns.optional_millis())
    dispatch_count: int = Field(sa_column=Column(Integer, nullable=False))
    run_timeout_ms: int | None = Field(sa_column=columns.optional_millis())
    ttl_ms: int | None = Field(sa_column=columns.optional_millis())
    retention_ms: int | None = Field(sa_column=columns.optional_millis())
    expires_at: int | None = Field(sa_column=columns.optional_millis())
    poll_interval_ms: int | None = Field(sa_column=columns.optional_millis())
    lease_worker: str | None = Field(sa_column=columns.optional_text())
    lease_until: int | None = Field(sa_column=columns.optional_millis())
    cancel_requested_at: int | None = Field(sa_column=columns.optional_millis())
    outcome_kind: str | None = Field(sa_column=columns.optional_text())
    outcome: str | None = Field(sa_column=columns.optional_text())
    priority: int = Field(sa_column=columns.count())
    crashes: int = Field(sa_column=columns.count())
    max_crashes: int = Field(sa_column=columns.count(3))
    last_error: str | None = Field(sa_column=columns.optional_text())
    start_by: int | None = Field(sa_column=columns.optional_millis())
    deadline_at: int | None = Field(sa_column=columns.optional_millis())
    announced_at: int | None = Field(sa_column=columns.optional_millis())
    paused_by: str | None = Field(sa_column=columns.optional_text())
    backlog_rank: int | None = Field(sa_column=columns.optional_millis())
    quarantined_at: int | None = Field(sa_column=columns.optional_millis())
    replay_of: str | None = Field(sa_column=columns.optional_text())
    idempotency_key: str | None = Field(sa_column=columns.optional_text())
    request_digest: str | None = Field(sa_column=columns.optional_text())
    log_rows: int = Field(sa_column=columns.count())
    session: str | None = Field(sa_column=columns.optional_text())
    session_request: str | None = Field(sa_column=columns.optional_text())
