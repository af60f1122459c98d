"""Sessions of clients that begin with a handshake, and the tasks that came in them; tasks in the order of a list.

Only additions. The index that is replaced was used by nobody.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TASK_COLUMNS = ("session", "session_request")
TASK_INDEXES = (
    ("task_listed", ["owner", "created_at", "id"], "door = 'handle'"),
    ("task_session", ["session", "finished_at"], "session IS NOT NULL"),
    ("task_session_request", ["session", "session_request"], "session_request IS NOT NULL"),
)


def upgrade() -> None:
    for column in TASK_COLUMNS:
        op.execute(f"ALTER TABLE task ADD COLUMN {column} TEXT")
    op.drop_index("task_owner", "task")
    for name, columns, condition in TASK_INDEXES:
        where = sa.text(condition)
        op.create_index(name, "task", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "session",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("log_level", sa.Text),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("session_expiry", "session", ["expires_at"])
    op.create_table(
        "session_subscription",
        sa.Column(
            "session_id",
            sa.Text,
            sa.ForeignKey("session.id", ondelete="CASCADE"),
            primary_key=True,
            nullable=False,
        ),
        sa.Column("uri", sa.Text, primary_key=True),
    )


def downgrade() -> None:
    op.drop_table("session_subscription")
    op.drop_table("session")
    for name, _, _ in TASK_INDEXES:
        op.drop_index(name, "task")
    op.create_index("task_owner", "task", ["owner", "created_at"])
    for column in reversed(TASK_COLUMNS):
        op.execute(f"ALTER TABLE task DROP COLUMN {column}")
