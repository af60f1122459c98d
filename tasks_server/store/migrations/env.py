"""Alembic's entry: runs on the connection that `tasks_server.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from tasks_server.store.tables import TASK

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=TASK.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
