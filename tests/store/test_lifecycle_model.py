"""Whatever happens to tasks, in whatever order: the record says what a simple model says.

`LIFECYCLE_EXAMPLES=1000` looks at more stories, other ones each time, and shortens what fails (`ARGS=--timeout=0`).
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.breakers import BreakerPolicy, Breakers
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.questions import Question
from tasks_server.task import OutcomeKind, Progress, Task, TaskStatus
from tests.store.lifecycle_model import Fence, ModelTask
from tests.store.record import OWNER, RESULT, YEAR_MS, Record, accept, asking, new_task, rpc_error

EXAMPLES = int(os.environ.get("LIFECYCLE_EXAMPLES", "0"))
STORY = settings(
    max_examples=EXAMPLES or 15,
    phases=(Phase.generate, Phase.shrink)
    if EXAMPLES
    else (Phase.generate,),  # to shorten a story takes minutes
    stateful_step_count=30,
    derandomize=not EXAMPLES,
    deadline=None,  # a busy machine is no failure
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
WORKERS = ("ada", "bob")
# A lease that has been over from the start belongs to a worker that is dead.
ALIVE_MS, DEAD_MS = 60 * 60 * 1000, -1_000
OUTCOMES = {
    OutcomeKind.RESULT: RESULT,
    OutcomeKind.RPC_ERROR: rpc_error("It broke"),
    OutcomeKind.CANCELLED: None,
}
ORDINALS = ("name", "why")
KEYS = ("name", "name.2", "why", "nonsense")
FENCED = ("report", "remember", "ask", "ask", "ask", "withdraw", "release", "retry", "finish")
MOVES = (
    *(
        "create",
        "create",
        "claim",
        "claim",
        "claim",
        "renew",
        "park",
        "park",
        "answer",
        "cancel",
        "lapse",
        "rescue",
    ),
    *("expire", *FENCED),
)
# A write to the record, and what the model makes of what it returns.
Write = tuple[Coroutine[Any, Any, Any], Callable[[Any], None]]
Returned = TypeVar("Returned")
Drawn = TypeVar("Drawn")


class Lifecycle(RuleBasedStateMachine):
    """Each move does one thing to the record and to the model; after each, they are compared.

    One rule for all moves, so that few stories see all of them: hypothesis leaves rules out, for variety.
    """

    def __init__(self, runner: asyncio.Runner, record: Record) -> None:
        super().__init__()
        self._runner = runner
        self._record = record
        self._tasks: list[ModelTask] = []
        self._ends: dict[str, dict[str, Any]] = {}
        self._something_happened = False
        self._run(record.sql("DELETE FROM task"))  # of the story before

    @initialize()
    def begin(self) -> None:
        """With work under way."""
        self._begin(max_crashes=2, kept=True)
        task = self._tasks[0]
        claimed = self._run(self._record.worker("ada", ALIVE_MS).claim(task.id, 0))
        assert claimed is not None
        task.claim("ada", claimed, dead=False)

    @rule(move=st.sampled_from(MOVES), data=st.data())
    def step(self, move: str, data: st.DataObject) -> None:
        self._something_happened = False
        if move in FENCED:
            self._write(move, data)
        else:
            getattr(self, f"_{move}")(data)
        if self._something_happened:
            self._run(self._compare())

    def _run(self, call: Coroutine[Any, Any, Returned]) -> Returned:
        self._something_happened = True
        return self._runner.run(call)

    def _mostly(self, data: st.DataObject, likely: list[Drawn], every: list[Drawn]) -> Drawn | None:
        """One of the likely, but every now and then any; None when there is none."""
        if not every:
            return None
        is_likely = likely and data.draw(st.integers(1, 8), label="any, if 8") != 8
        return data.draw(st.sampled_from(likely if is_likely else every), label="of")

    # --- clients ---------------------------------------------------------------------------------------------

    def _create(self, data: st.DataObject) -> None:
        if sum(not task.is_terminal for task in self._tasks) >= 2:
            return
        max_crashes, kept = data.draw(st.tuples(st.integers(1, 3), st.booleans()), label="max_crashes, kept")
        self._begin(max_crashes, kept)

    def _begin(self, max_crashes: int, kept: bool) -> None:
        new = new_task(max_crashes=max_crashes, retention_ms=YEAR_MS if kept else 0)
        self._run(self._record.requests.create(new))
        self._tasks.append(ModelTask(new.id, max_crashes, kept))

    def _answer(self, data: st.DataObject) -> None:
        task = self._mostly(data, [task for task in self._tasks if task.outstanding], self._tasks)
        if task is not None:
            keys = data.draw(st.sets(st.sampled_from(KEYS), min_size=1), label="keys")
            responses = {key: accept("Ada") for key in sorted(keys)}
            self._run(self._record.requests.answer(OWNER, task.id, responses))
            task.answer(keys)

    def _cancel(self, data: st.DataObject) -> None:
        task = self._mostly(data, [task for task in self._tasks if task.holder], self._tasks)
        if task is not None:
            self._run(self._record.requests.cancel(OWNER, task.id))
            task.cancel()

    # --- workers ---------------------------------------------------------------------------------------------

    def _claim(self, data: st.DataObject) -> None:
        """Mostly of the attempt that waits; else by a job that has lain in a queue for too long."""
        now = [(task, task.attempt) for task in self._tasks if task.is_waiting]
        ever = [(task, attempt) for task in self._tasks for attempt in range(task.attempt + 1)]
        if (chosen := self._mostly(data, now, ever)) is not None:
            task, attempt = chosen
            name, dead = data.draw(st.tuples(st.sampled_from(WORKERS), st.booleans()), label="worker, dead")
            worker = self._record.worker(name, DEAD_MS if dead else ALIVE_MS)
            claimed = self._run(worker.claim(task.id, attempt))
            assert (claimed is not None) == (chosen in now)
            if claimed is not None:
                task.claim(name, claimed, dead=dead)

    def _renew(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(WORKERS), label="worker")
        standings = self._run(self._record.worker(name).renew([task.id for task in self._tasks]))
        held = [task for task in self._tasks if task.holder == name]
        for task in held:
            task.lapsed = False
        told = {(standing.held, standing.cancel_requested) for standing in standings}
        assert told == {(task.fences[-1].held, task.cancelling) for task in held}

    def _write(self, move: str, data: st.DataObject) -> None:
        """What a worker writes who believes to hold a task; mostly it does. Else it must be refused."""
        fences = [(task, fence) for task in self._tasks for fence in task.fences]
        holding = [(task, fence) for task, fence in fences if task.holds(fence)]
        if (chosen := self._mostly(data, holding, fences)) is not None:
            task, fence = chosen
            call, follow = getattr(self, f"_{move}")(data, task, fence, self._record.worker(fence.worker))
            if task.holds(fence):
                follow(self._run(call))
            else:
                with pytest.raises(StaleTransition):
                    self._run(call)

    def _report(self, _: st.DataObject, task: ModelTask, fence: Fence, worker: Claims) -> Write:
        return worker.report(fence.held, Progress(1, 2), "half way"), lambda _: task.report()

    def _remember(self, data: st.DataObject, task: ModelTask, fence: Fence, worker: Claims) -> Write:
        step, value = data.draw(st.tuples(st.sampled_from(("one", "two")), st.integers(0, 9)), label="step")
        return worker.remember(fence.held, step, value), lambda _: task.checkpoints.update({step: value})

    def _ask(self, data: st.DataObject, task: ModelTask, fence: Fence, worker: Claims) -> Write:
        ordinal, wording = data.draw(
            st.tuples(st.sampled_from(ORDINALS), st.sampled_from("AB")), label="asks"
        )

        def follow(asked: Any) -> None:
            expected = task.ask(ordinal, wording)
            (found,) = asked
            assert (found.key, found.response is not None) == (expected.key, expected.answered)

        return worker.ask(fence.held, [Question(ordinal, asking(wording))]), follow

    def _withdraw(self, data: st.DataObject, task: ModelTask, fence: Fence, worker: Claims) -> Write:
        key = data.draw(st.sampled_from(sorted(task.outstanding) or KEYS), label="key")
        return worker.withdraw(fence.held, key), lambda _: task.withdraw(key)

    def _release(self, _: st.DataObject, task: ModelTask, fence: Fence, worker: Claims) -> Write:
        return worker.release(fence.held), lambda _: task.release()

    def _retry(self, _: st.DataObject, task: ModelTask, fence: Fence, worker: Claims) -> Write:
        call = self._record.failures(worker).retry(fence.claimed, "It is busy", 1_000)
        return call, lambda _: task.retry()

    def _finish(self, data: st.DataObject, task: ModelTask, fence: Fence, worker: Claims) -> Write:
        kind = data.draw(st.sampled_from(OutcomeKind), label="outcome")
        return worker.finish(fence.held, kind, OUTCOMES[kind], None, None), lambda _: task.finish(kind)

    def _park(self, data: st.DataObject) -> None:
        """Refused without an error: the answer may have come in between."""
        fences = [(task, fence) for task in self._tasks for fence in task.fences]
        asking = [(task, fence) for task, fence in fences if task.may_park(fence)]
        if (chosen := self._mostly(data, asking, fences)) is not None:
            task, fence = chosen
            parked = self._run(self._record.worker(fence.worker).park(fence.held))
            assert parked == task.may_park(fence)
            if parked:
                task.park()

    # --- time ------------------------------------------------------------------------------------------------

    def _lapse(self, data: st.DataObject) -> None:
        held = [task for task in self._tasks if task.holder]
        if (task := self._mostly(data, [], held)) is not None:
            self._run(self._record.shift(task.id, "lease_until", -2 * ALIVE_MS))
            task.lapsed = True

    def _rescue(self, _: st.DataObject) -> None:
        assert self._run(self._record.upkeep.rescue()) == sum(task.lapsed for task in self._tasks)
        for task in self._tasks:
            task.rescue()

    def _expire(self, _: st.DataObject) -> None:
        expected = {task.id for task in self._tasks if task.is_due}
        assert set(self._run(self._record.expiry.expire())) == expected
        for task in self._tasks:
            task.expire()

    # --- what must be true after each step ------------------------------------------------------------------------

    async def _compare(self) -> None:
        """A few statements for all tasks: this is done after every step."""
        rows = {row["id"]: row for row in await _mappings(self._record, "SELECT * FROM task")}
        events, checkpoints = defaultdict[str, list[str]](list), defaultdict[str, dict[str, int]](dict)
        for event in await _mappings(self._record, "SELECT task_id, kind FROM task_event ORDER BY id"):
            events[event["task_id"]].append(event["kind"])
        for kept in await _mappings(self._record, "SELECT task_id, name, value FROM checkpoint"):
            checkpoints[kept["task_id"]][kept["name"]] = int(kept["value"])
        there = [task for task in self._tasks if not task.gone]
        assert rows.keys() == {task.id for task in there}
        assert {task_id: kinds for task_id, kinds in events.items() if kinds} == {
            task.id: task.events for task in there if task.events
        }
        assert checkpoints == {task.id: task.checkpoints for task in there if task.checkpoints}
        for task in there:
            self._compare_row(task, rows[task.id])
        unfinished = [task for task in there if not task.is_terminal]
        for task, seen in zip(unfinished, await asyncio.gather(*map(self._see, unfinished)), strict=True):
            self._compare_seen(task, seen)

    async def _see(self, task: ModelTask) -> Task:
        return await self._record.task(task.id)

    def _compare_row(self, task: ModelTask, row: dict[str, Any]) -> None:
        found = (row["status"], row["attempt"], row["lease_worker"], row["outcome_kind"])
        assert found == (task.status, task.attempt, task.holder, task.outcome)
        counted = (row["revision"], row["retries_used"], row["crashes"])
        assert counted == (task.revision, task.retries_used, task.crashes)
        assert (row["next_dispatch_at"] is not None) == task.is_waiting
        assert (row["cancel_requested_at"] is not None) == task.cancelling
        if task.is_terminal:  # and never changes again
            assert row == self._ends.setdefault(task.id, row)

    def _compare_seen(self, task: ModelTask, seen: Task) -> None:
        if task.status is TaskStatus.INPUT_REQUIRED:  # otherwise nobody is shown them
            assert {question.key for question in seen.input_requests} == task.outstanding


async def _mappings(record: Record, statement: str) -> list[dict[str, Any]]:
    async with record.database.reading() as connection:
        return [dict(row) for row in (await connection.execute(text(statement))).mappings()]


@pytest.fixture
def runner() -> Generator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_every_story_of_tasks_is_told_alike_by_the_record_and_by_a_simple_model(
    runner: asyncio.Runner, database_url: str, redis_url: str, tmp_path: Path
):
    async def open_record() -> Record:
        record = Record(database_url, redis_url, tmp_path)
        record.breakers = Breakers(
            record.database, BreakerPolicy(failures=0)
        )  # which the model does not know
        if record.database.is_sqlite:  # no power is cut here
            async with record.database.writing() as connection:
                await connection.execute(text("PRAGMA synchronous=OFF"))
        return record

    record = runner.run(open_record())

    class Told(Lifecycle):
        def __init__(self) -> None:
            super().__init__(runner, record)

    try:
        run_state_machine_as_test(Told, settings=STORY)
    finally:
        runner.run(record.close())
