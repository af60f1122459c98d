"""The record: tasks, what happened to them, what they asked, remembered and produced; workers and their offers.

The checks repeat `store/task_table.py` on purpose: a migration says what was true when it was written.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TERMINAL = "('completed', 'failed', 'cancelled')"

CHECKS = {
    "task_status_known": "status IN ('working', 'input_required', 'completed', 'failed', 'cancelled')",
    "task_finished_iff_terminal": f"(finished_at IS NOT NULL) = (status IN {TERMINAL})",
    "task_outcome_iff_terminal": "(outcome_kind IS NOT NULL) = (finished_at IS NOT NULL)",
    "task_outcome_fits_status": (
        "outcome_kind IS NULL"
        " OR (status = 'completed' AND outcome_kind = 'result' AND outcome IS NOT NULL)"
        " OR (status = 'failed' AND outcome_kind = 'rpc_error' AND outcome IS NOT NULL)"
        " OR (status = 'cancelled' AND outcome_kind = 'cancelled' AND outcome IS NULL)"
    ),
    "task_lease_whole": "(lease_worker IS NULL) = (lease_until IS NULL)",
    "task_lease_only_while_open": f"lease_worker IS NULL OR status NOT IN {TERMINAL}",
    "task_leased_has_started": "lease_worker IS NULL OR started_at IS NOT NULL",
    "task_dispatch_iff_waiting": (
        "(next_dispatch_at IS NOT NULL) = (status = 'working' AND lease_worker IS NULL)"
    ),
    "task_cancelling_is_held": (
        f"cancel_requested_at IS NULL OR lease_worker IS NOT NULL OR status IN {TERMINAL}"
    ),
    "task_counts_not_negative": "attempt >= 0 AND retries_used >= 0 AND dispatch_count >= 0",
}


def upgrade() -> None:
    _create_task()
    _create_task_parts()
    _create_workers()
    if op.get_bind().dialect.name == "sqlite":
        _create_sqlite_triggers()
    else:
        _create_postgresql_triggers()


def _create_task() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("door", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_message", sa.Text),
        sa.Column("progress", sa.Float),
        sa.Column("progress_total", sa.Float),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("retries_used", sa.Integer, nullable=False),
        sa.Column("max_retries", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("next_dispatch_at", sa.BigInteger),
        sa.Column("dispatch_count", sa.Integer, nullable=False),
        sa.Column("run_timeout_ms", sa.BigInteger),
        sa.Column("ttl_ms", sa.BigInteger),
        sa.Column("retention_ms", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("poll_interval_ms", sa.BigInteger),
        sa.Column("lease_worker", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("cancel_requested_at", sa.BigInteger),
        sa.Column("outcome_kind", sa.Text),
        sa.Column("outcome", sa.Text),
        *(sa.CheckConstraint(text, name=name) for name, text in CHECKS.items()),
    )
    for name, column in (
        ("task_waiting", "next_dispatch_at"),
        ("task_lease", "lease_until"),
        ("task_expiry", "expires_at"),
    ):
        where = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "task", [column], sqlite_where=where, postgresql_where=where)
    op.create_index("task_owner", "task", ["owner", "created_at"])


def _task_id(*, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(
        "task_id",
        sa.Text,
        sa.ForeignKey("task.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


def _create_task_parts() -> None:
    op.create_table(
        "task_event",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
        ),
        _task_id(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("task_event_task", "task_event", ["task_id", "id"])
    op.create_table(
        "input_request",
        _task_id(primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("ordinal", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("response", sa.Text),
        sa.Column("answered_at", sa.BigInteger),
        sa.Column("withdrawn_at", sa.BigInteger),
        sa.CheckConstraint("(response IS NULL) = (answered_at IS NULL)", name="input_request_answer_whole"),
    )
    op.create_table(
        "checkpoint",
        _task_id(primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "artifact",
        _task_id(primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("mime_type", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )


def _create_workers() -> None:
    op.create_table(
        "manifest",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("manifest_digest", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("renewed_at", sa.BigInteger, nullable=False),
        sa.Column("stopped_at", sa.BigInteger),
    )


def _create_sqlite_triggers() -> None:
    op.execute(
        "CREATE TRIGGER task_finished_is_final BEFORE UPDATE ON task WHEN old.finished_at IS NOT NULL"
        " BEGIN SELECT RAISE(ABORT, 'a finished task never changes'); END"
    )
    op.execute(
        "CREATE TRIGGER task_attempt_never_falls BEFORE UPDATE ON task WHEN new.attempt < old.attempt"
        " BEGIN SELECT RAISE(ABORT, 'the attempt of a task never falls'); END"
    )
    op.execute(
        "CREATE TRIGGER input_request_answer_is_final BEFORE UPDATE ON input_request"
        " WHEN old.response IS NOT NULL OR new.request IS NOT old.request"
        " BEGIN SELECT RAISE(ABORT, 'an answered question never changes'); END"
    )


def _create_postgresql_triggers() -> None:
    op.execute(
        """
        CREATE FUNCTION task_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF old.finished_at IS NOT NULL THEN
                RAISE EXCEPTION 'a finished task never changes' USING ERRCODE = 'check_violation';
            END IF;
            IF new.attempt < old.attempt THEN
                RAISE EXCEPTION 'the attempt of a task never falls' USING ERRCODE = 'check_violation';
            END IF;
            RETURN new;
        END $$
        """
    )
    op.execute("CREATE TRIGGER task_guard BEFORE UPDATE ON task FOR EACH ROW EXECUTE FUNCTION task_guard()")
    op.execute(
        """
        CREATE FUNCTION input_request_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF old.response IS NOT NULL OR new.request IS DISTINCT FROM old.request THEN
                RAISE EXCEPTION 'an answered question never changes' USING ERRCODE = 'check_violation';
            END IF;
            RETURN new;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER input_request_guard BEFORE UPDATE ON input_request"
        " FOR EACH ROW EXECUTE FUNCTION input_request_guard()"
    )


def downgrade() -> None:
    for table in ("worker", "manifest", "artifact", "checkpoint", "input_request", "task_event", "task"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION task_guard")
        op.execute("DROP FUNCTION input_request_guard")
