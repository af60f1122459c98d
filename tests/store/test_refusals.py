"""The database itself refuses impossible rows and any change to what is final."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from tasks_server.store.task_table import TASK_CHECKS
from tests.store.record import Record, accept, ask, claim, held

FINISH = "finished_at = 1, next_dispatch_at = NULL"
# For each check of the table: a change to a waiting task that only this check stands against.
IMPOSSIBLE = {
    "task_status_known": "status = 'paused', next_dispatch_at = NULL",
    "task_finished_iff_terminal": "status = 'cancelled', next_dispatch_at = NULL",
    "task_outcome_iff_terminal": f"status = 'cancelled', {FINISH}",
    "task_outcome_fits_status": f"status = 'completed', outcome_kind = 'rpc_error', outcome = '{{}}', {FINISH}",
    "task_lease_whole": "lease_worker = 'w', started_at = 1, next_dispatch_at = NULL",
    "task_lease_only_while_open": (
        "status = 'cancelled', outcome_kind = 'cancelled', started_at = 1, lease_worker = 'w',"
        f" lease_until = 1, {FINISH}"
    ),
    "task_leased_has_started": "lease_worker = 'w', lease_until = 1, next_dispatch_at = NULL",
    "task_dispatch_iff_waiting": "next_dispatch_at = NULL",
    "task_cancelling_is_held": "cancel_requested_at = 1",
    "task_counts_not_negative": "retries_used = -1",
    "task_crashes_not_negative": "crashes = -1",
    "task_quarantined_has_failed": "quarantined_at = 1",
    "task_paused_waits": "status = 'input_required', next_dispatch_at = NULL, paused_by = 'backoff'",
    "task_backlog_waits": "backlog_rank = 1",
}


def test_every_check_has_its_impossible_row():
    assert set(IMPOSSIBLE) == set(TASK_CHECKS)


async def test_every_check_refuses_its_impossible_row(record: Record):
    task = await record.create()
    before = await record.row(task.id)
    for name, change in IMPOSSIBLE.items():
        with pytest.raises(IntegrityError, match=name):
            await record.sql(f"UPDATE task SET {change} WHERE id = :id", id=task.id)
    assert await record.row(task.id) == before


async def test_the_event_log_is_append_only(record: Record):
    task = await claim(record.worker(), await record.create())
    with pytest.raises(DBAPIError, match="append-only"):
        await record.sql("UPDATE task_event SET body = '{}' WHERE task_id = :id", id=task.id)


NO_ENDS = [
    "status = 'completed', outcome_kind = 'result', outcome = NULL",
    "status = 'completed', outcome_kind = 'cancelled', outcome = NULL",
    "status = 'failed', outcome_kind = 'result', outcome = '{}'",
    "status = 'failed', outcome_kind = 'rpc_error', outcome = NULL",
    "status = 'cancelled', outcome_kind = 'cancelled', outcome = '{}'",
    "status = 'cancelled', outcome_kind = 'nonsense', outcome = NULL",
    "status = 'working', outcome_kind = 'result', outcome = '{}'",
    "status = 'input_required', outcome_kind = NULL, outcome = NULL",
]


async def test_no_end_without_its_outcome(record: Record):
    task = await record.create()
    for outcome in NO_ENDS:
        with pytest.raises(IntegrityError):
            await record.sql(f"UPDATE task SET {outcome}, {FINISH} WHERE id = :id", id=task.id)


async def test_a_waiting_task_is_never_without_its_next_announcement(record: Record):
    task = await record.create()
    with pytest.raises(IntegrityError, match="task_dispatch_iff_waiting"):
        await record.sql("UPDATE task SET next_dispatch_at = NULL WHERE id = :id", id=task.id)
    await claim(record.worker(), task)
    for change in ("next_dispatch_at = 1", "lease_worker = NULL, lease_until = NULL"):
        with pytest.raises(IntegrityError, match="task_dispatch_iff_waiting"):
            await record.sql(f"UPDATE task SET {change} WHERE id = :id", id=task.id)


async def test_a_finished_row_never_changes(record: Record):
    task = await record.finished()
    before = await record.row(task.id)
    for change in (
        "status = 'working', finished_at = NULL, outcome_kind = NULL, outcome = NULL, next_dispatch_at = 1",
        "status = 'cancelled', outcome_kind = 'cancelled', outcome = NULL",
        "outcome = '{}'",
        "status_message = 'edited'",
        "expires_at = NULL",
        "attempt = attempt + 1",
        "owner = 'somebody else'",
        "revision = revision",
    ):
        with pytest.raises(DBAPIError, match="a finished task never changes"):
            await record.sql(f"UPDATE task SET {change} WHERE id = :id", id=task.id)
    assert await record.row(task.id) == before


async def test_the_attempt_never_falls(record: Record):
    task = await record.create()
    worker = record.worker()
    await worker.release(held(await claim(worker, task)))
    with pytest.raises(DBAPIError, match="the attempt of a task never falls"):
        await record.sql("UPDATE task SET attempt = attempt - 1 WHERE id = :id", id=task.id)
    await record.sql("UPDATE task SET attempt = attempt WHERE id = :id", id=task.id)
    assert (await record.row(task.id))["attempt"] == 1


async def test_a_question_never_changes_and_an_answer_is_final(record: Record):
    task = await claim(record.worker(), await record.create())
    await ask(record.worker(), task)
    refused = "an answered question never changes"
    with pytest.raises(DBAPIError, match=refused):
        await record.sql("UPDATE input_request SET request = '{}' WHERE task_id = :id", id=task.id)
    await record.requests.answer(task.owner, task.id, {"name": accept("Ada")})
    before = await record.rows("input_request", task.id)
    for change in (
        "response = '{}'",
        "response = NULL, answered_at = NULL",
        "answered_at = 1",
        "withdrawn_at = 1",
        "key = 'another'",
    ):
        with pytest.raises(DBAPIError, match=refused):
            await record.sql(f"UPDATE input_request SET {change} WHERE task_id = :id", id=task.id)
    assert await record.rows("input_request", task.id) == before


async def test_half_an_answer_is_refused(record: Record):
    task = await claim(record.worker(), await record.create())
    await ask(record.worker(), task)
    for change in ("response = '{}'", "answered_at = 1"):
        with pytest.raises(IntegrityError, match="input_request_answer_whole"):
            await record.sql(f"UPDATE input_request SET {change} WHERE task_id = :id", id=task.id)


async def test_a_key_is_taken_once_in_a_task(record: Record):
    task = await claim(record.worker(), await record.create())
    await ask(record.worker(), task)
    with pytest.raises(IntegrityError):
        await record.sql(
            "INSERT INTO input_request (task_id, key, ordinal, request, asked_at)"
            " VALUES (:id, 'name', 'other', '{}', 1)",
            id=task.id,
        )


ORPHANS = [
    "INSERT INTO task_event (task_id, at, kind, body) VALUES ('nobody', 1, 'log', '{}')",
    "INSERT INTO input_request (task_id, key, ordinal, request, asked_at) VALUES ('nobody', 'k', 'k', '{}', 1)",
    "INSERT INTO checkpoint (task_id, name, value, at) VALUES ('nobody', 'page', '1', 1)",
    "INSERT INTO artifact (task_id, name, mime_type, size, sha256, location, created_at)"
    " VALUES ('nobody', 'a', 'text/plain', 1, 'x', 'x', 1)",
]


async def test_nothing_hangs_on_a_task_that_is_not_there(record: Record):
    for insertion in ORPHANS:
        with pytest.raises(IntegrityError):
            await record.sql(insertion)


async def test_what_hangs_on_a_task_goes_with_it(record: Record):
    worker = record.worker()
    task, neighbour = [await claim(worker, await record.create()) for _ in range(2)]
    for each in (task, neighbour):
        await ask(worker, each)
        await worker.remember(held(each), "page-1", 1)
        await worker.record_artifact(held(each), ARTIFACT)
    await record.sql("DELETE FROM task WHERE id = :id", id=task.id)
    for table in ("task_event", "input_request", "checkpoint", "artifact"):
        assert await record.rows(table, task.id) == []
        assert await record.rows(table, neighbour.id) != []


ARTIFACT = {"name": "a.md", "mime_type": "text/markdown", "size": 1, "sha256": "0", "location": "x/y"}
