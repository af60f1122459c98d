"""Whatever anybody does to a task in whichever status: exactly the arrows of `TRANSITIONS` are ever gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.claims import Claims
from tasks_server.task import TRANSITIONS, OutcomeKind, Task, TaskStatus
from tests.store.record import OWNER, RESULT, Record, accept, ask, claim, held, rpc_error

Move = Callable[[Record, Claims, Task], Awaitable[object]]

ENDS: dict[TaskStatus, Move] = {
    TaskStatus.COMPLETED: lambda _, worker, task: worker.finish(
        held(task), OutcomeKind.RESULT, RESULT, None, None
    ),
    TaskStatus.FAILED: lambda _, worker, task: worker.finish(
        held(task), OutcomeKind.RPC_ERROR, rpc_error("x"), None, None
    ),
    TaskStatus.CANCELLED: lambda _, worker, task: worker.finish(
        held(task), OutcomeKind.CANCELLED, None, None, None
    ),
}
MOVES: list[Move] = [
    *ENDS.values(),
    lambda _, worker, task: ask(worker, task),
    lambda _, worker, task: worker.park(held(task)),
    lambda _, worker, task: worker.release(held(task)),
    lambda _, worker, task: worker.claim(task.id, task.attempt),
    lambda record, _, task: record.requests.answer(OWNER, task.id, {"name": accept("Ada")}),
    lambda record, _, task: record.requests.cancel(OWNER, task.id),
]


async def in_status(status: TaskStatus, record: Record, worker: Claims) -> Task:
    """A task that the worker has held, and that has come this far."""
    task = await claim(worker, await record.create())
    if status is TaskStatus.INPUT_REQUIRED:
        await ask(worker, task)
    elif status in ENDS:
        await ENDS[status](record, worker, task)
    return await record.task(task.id)


async def test_a_task_changes_its_status_along_the_known_arrows_and_along_all_of_them(record: Record):
    worker = record.worker()
    gone: dict[TaskStatus, set[TaskStatus]] = {status: set() for status in TaskStatus}
    for status, reached in gone.items():
        for move in MOVES:
            task = await in_status(status, record, worker)
            assert task.status is status
            with suppress(StaleTransition):
                await move(record, worker, task)
            reached.add((await record.task(task.id)).status)
    assert {status: reached - {status} for status, reached in gone.items()} == TRANSITIONS
