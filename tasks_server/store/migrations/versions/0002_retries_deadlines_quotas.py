"""Retries by class, dead letters, circuit breakers, deadlines, idempotent submission, dispatch windows.

Only additions, so that a record of any size is migrated in moments.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TASK_COLUMNS = (
    "priority INTEGER DEFAULT 0 NOT NULL",
    "crashes INTEGER DEFAULT 0 NOT NULL CONSTRAINT task_crashes_not_negative CHECK (crashes >= 0)",
    "max_crashes INTEGER DEFAULT 3 NOT NULL",
    "last_error TEXT",
    "start_by BIGINT",
    "deadline_at BIGINT",
    "announced_at BIGINT",
    "paused_by TEXT CONSTRAINT task_paused_waits CHECK (paused_by IS NULL OR next_dispatch_at IS NOT NULL)",
    "backlog_rank BIGINT CONSTRAINT task_backlog_waits"
    " CHECK (backlog_rank IS NULL OR (next_dispatch_at IS NOT NULL AND announced_at IS NULL))",
    "quarantined_at BIGINT CONSTRAINT task_quarantined_has_failed"
    " CHECK (quarantined_at IS NULL OR status = 'failed')",
    "replay_of TEXT",
    "idempotency_key TEXT",
    "request_digest TEXT",
    "log_rows INTEGER DEFAULT 0 NOT NULL",
)
QUESTION_COLUMNS = ("deadline_at BIGINT", "default_response TEXT", "answered_by TEXT")
WORKER_COLUMNS = ("picked_at BIGINT", "trouble TEXT")
COLUMNS = {"task": TASK_COLUMNS, "input_request": QUESTION_COLUMNS, "worker": WORKER_COLUMNS}

TASK_INDEXES = {
    "task_deadline": ("deadline_at", "deadline_at IS NOT NULL AND finished_at IS NULL"),
    "task_start_by": ("start_by", "start_by IS NOT NULL AND started_at IS NULL AND finished_at IS NULL"),
    "task_quarantine": ("quarantined_at", "quarantined_at IS NOT NULL"),
}

WAITING_INDEXES = (
    ("task_waiting", ["next_dispatch_at"], "next_dispatch_at IS NOT NULL AND backlog_rank IS NULL"),
    ("task_window", ["owner", "queue"], "announced_at IS NOT NULL AND next_dispatch_at IS NOT NULL"),
    ("task_backlog", ["owner", "queue", "backlog_rank"], "backlog_rank IS NOT NULL"),
    ("task_running", ["owner"], "lease_worker IS NOT NULL"),
)

BEHIND_BREAKER_INDEXES = {
    "task_behind_breaker": ["name", "next_dispatch_at"],
    "task_next_probe": ["name", "retries_used", "created_at"],
}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    _create_indexes()
    op.create_table(
        "breaker",
        sa.Column("tool", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("cooldown_ms", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.BigInteger),
        sa.Column("open_until", sa.BigInteger),
        sa.Column("probe_task", sa.Text),
        sa.Column("failed_task", sa.Text),
        sa.Column("last_error", sa.Text),
    )
    op.create_table(
        "identity",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.CheckConstraint("one = 1", name="identity_is_one"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER task_event_is_final BEFORE UPDATE ON task_event"
            " BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END"
        )
    else:
        op.execute(
            """
            CREATE FUNCTION task_event_guard() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'the event log is append-only' USING ERRCODE = 'check_violation';
            END $$
            """
        )
        op.execute(
            "CREATE TRIGGER task_event_guard BEFORE UPDATE ON task_event"
            " FOR EACH ROW EXECUTE FUNCTION task_event_guard()"
        )


def _create_indexes() -> None:
    for name, (column, condition) in TASK_INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, "task", [column], sqlite_where=where, postgresql_where=where)
    where = sa.text("paused_by = 'breaker'")
    for name, columns in BEHIND_BREAKER_INDEXES.items():
        op.create_index(name, "task", columns, sqlite_where=where, postgresql_where=where)
    op.drop_index("task_waiting", "task")
    for name, columns, condition in WAITING_INDEXES:
        where = sa.text(condition)
        op.create_index(name, "task", columns, sqlite_where=where, postgresql_where=where)
    where = sa.text("idempotency_key IS NOT NULL")
    op.create_index(
        "task_idempotency",
        "task",
        ["owner", "idempotency_key"],
        unique=True,
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("deadline_at IS NOT NULL AND response IS NULL AND withdrawn_at IS NULL")
    op.create_index(
        "input_request_deadline",
        "input_request",
        ["deadline_at"],
        sqlite_where=where,
        postgresql_where=where,
    )


def downgrade() -> None:
    op.drop_table("identity")
    op.drop_table("breaker")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER task_event_is_final")
    else:
        op.execute("DROP TRIGGER task_event_guard ON task_event")
        op.execute("DROP FUNCTION task_event_guard")
    op.drop_index("input_request_deadline")
    waiting = (name for name, _, _ in WAITING_INDEXES)
    for name in (*BEHIND_BREAKER_INDEXES, "task_idempotency", *TASK_INDEXES, *waiting):
        op.drop_index(name)
    for table, columns in COLUMNS.items():
        for column in reversed(columns):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column.split()[0]}")
    where = sa.text("next_dispatch_at IS NOT NULL")
    op.create_index("task_waiting", "task", ["next_dispatch_at"], sqlite_where=where, postgresql_where=where)
