"""What operators do with tasks that did not end well: read what happened, and start them again."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from functools import partial
from typing import Any, NamedTuple

import pytest

from tasks_server.__main__ import main
from tasks_server.errors import CommandRefused
from tasks_server.lifecycle.replay import Replays
from tasks_server.operators.history import History
from tasks_server.operators.timeline import timeline
from tasks_server.task import Door, Origin, OutcomeKind, Task, TaskStatus
from tests.store.record import ATTACHED, OWNER, Record, claim, held


async def dead_letter(record: Record, **changes: Any) -> Task:
    task = await claim(record.worker("dead", lease_ms=-1000), await record.create(max_crashes=1, **changes))
    assert await record.upkeep.rescue() == 1
    return await record.task(task.id)


async def test_a_dead_letter_becomes_a_new_task(record: Record):
    old = await dead_letter(record, origin=ATTACHED, deadline_ms=60_000, priority=3)
    before = await record.row(old.id)
    new = await Replays(record.database, record.requests).replay(old.id)
    assert (new.owner, new.name, new.arguments, new.queue) == (old.owner, old.name, old.arguments, old.queue)
    assert (new.status, new.attempt, new.crashes, new.max_crashes) == (TaskStatus.WORKING, 0, 0, 1)
    row = await record.row(new.id)
    assert (row["replay_of"], row["door"], row["priority"]) == (old.id, "handle", 3)
    assert row["deadline_at"] - row["created_at"] == 60_000
    assert f"{new.id}:0" in await record.announced()
    assert await record.row(old.id) == before


async def test_a_replay_belongs_to_no_session(record: Record):
    """The request that made the old task has been answered, and its progress token is void."""
    origin = Origin(Door.ATTACHED, "2025-11-25", {"sampling": {}}, "info", "token", "s", 7)
    old = await dead_letter(record, origin=origin)
    new = await Replays(record.database, record.requests).replay(old.id)
    assert new.origin == Origin(Door.HANDLE, "2025-11-25", {"sampling": {}}, "info")
    assert await record.service.find_request(OWNER, "s", 7) == old.id


async def test_what_was_cancelled_or_ended_with_an_error_can_be_replayed(record: Record):
    replays = Replays(record.database, record.requests)
    cancelled = await record.create()
    await record.requests.cancel(OWNER, cancelled.id)
    worker = record.worker()
    failed = await claim(worker, await record.create())
    await worker.finish(held(failed), OutcomeKind.RESULT, '{"content":[],"isError":true}', None, None)
    for task in (cancelled, failed):
        assert (await replays.replay(task.id)).id != task.id


async def test_what_runs_or_has_succeeded_or_is_not_there_is_refused(record: Record):
    replays = Replays(record.database, record.requests)
    with pytest.raises(CommandRefused, match="There is no task nobody"):
        await replays.replay("nobody")
    with pytest.raises(
        CommandRefused, match=r"is working; only what has ended can be replayed\. Cancel it first"
    ):
        await replays.replay((await record.create()).id)
    with pytest.raises(
        CommandRefused, match=r"has completed; only what failed .* Fetch its result, or call the tool again"
    ):
        await replays.replay((await record.finished()).id)


async def test_the_history_tells_every_attempt_its_error_and_the_next_time(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(max_crashes=2))
    await record.failures(worker).retry(task, "The archive is busy.", 6_000)
    await claim(record.worker("dead", lease_ms=-1000), await record.task(task.id))
    await record.upkeep.rescue()
    told = "\n".join(timeline(await History(record.database).of(task.id)))
    said = (
        "1 of 3 retries used, 1 of 2 crashes",
        "last error  Worker dead was lost",
        "attempt 1 was started by worker worker-1",
        "attempt 1 failed (transient): The archive is busy.; the next one starts at 2",
        "attempt 2 was started by worker dead",
        "attempt 2 lost its worker dead",
        "it is announced to workers",
    )
    for text in said:
        assert text in told
    times = [line for line in told.splitlines() if line.startswith("2")]
    assert times
    assert all(re.match(r"[\d-]{10} [\d:.]{12}Z  ", line) for line in times), "UTC, and it says so"


async def test_the_commands_list_show_and_replay(
    record: Record, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    old = await dead_letter(record)
    said = partial(command, record, monkeypatch, capsys)
    (letter,) = json.loads((await said("dead-letters", "--json")).stdout)
    assert (letter["id"], letter["crashes"], letter["last_error"]) == (old.id, 1, "Worker dead was lost")
    head, line = (await said("dead-letters")).stdout.splitlines()
    assert re.split(r"  +", head) == ["failed at (UTC)", "task", "tool", "crashes", "last error"]
    assert re.split(r"  +", line)[1:] == [old.id, "convert", "1 crash", "Worker dead was lost"]
    assert "\nstatus      failed, a dead letter: convert" in (await said("show", old.id)).stdout
    shown = json.loads((await said("show", old.id, "--json")).stdout)
    assert [event["kind"] for event in shown["events"]] == ["attempt", "lost"]
    replayed = (await said("replay", old.id)).stdout.split()
    assert replayed[1:] == ["repeats", old.id]
    assert (await record.task(replayed[0])).status is TaskStatus.WORKING
    refused = await said("show", "nobody")
    assert (refused.code, refused.stderr) == (
        2,
        "tasks-server: There is no task nobody. It may have expired, or the id may be wrong.\n",
    )


async def test_the_command_lists_the_tools_that_fail(
    record: Record, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    said = partial(command, record, monkeypatch, capsys)
    assert (await said("breakers")).stdout == "No tool has failed lately.\n"
    worker = record.worker()
    for name, times in (("profile", 1), ("convert", 5)):
        for _ in range(times):
            task = await claim(worker, await record.create(name=name))
            await record.failures(worker).retry(task, "The archive is busy.", 3_600_000)

    async def told() -> list[list[str]]:
        lines = (await said("breakers")).stdout.splitlines()
        return [re.split(r"  +", line) for line in lines]

    head, convert, profile = await told()
    assert head == ["tool", "breaker", "failures", "open until (UTC)", "last error"]
    assert (convert[:3], convert[4:]) == (["convert", "open", "5"], ["The archive is busy."])
    assert re.fullmatch(r"[\d-]{10} [\d:.]{12}Z", convert[3])
    assert profile == ["profile", "closed", "1", "-", "The archive is busy."]
    await record.sql("UPDATE breaker SET open_until = open_until - 100000000 WHERE tool = 'convert'")
    assert (await told())[1][1] == "half-open"
    as_json = json.loads((await said("breakers", "--json")).stdout)
    assert [(row["tool"], row["failures"]) for row in as_json] == [("convert", 5), ("profile", 1)]


class Said(NamedTuple):
    code: object
    stdout: str
    stderr: str


async def command(
    record: Record, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> Said:
    monkeypatch.setenv("TASKS_DATABASE_URL", record.database_url)
    monkeypatch.setenv("TASKS_REDIS_URL", record.redis_url)
    monkeypatch.setattr(sys, "argv", ["tasks-server", *words])
    code = await asyncio.to_thread(exit_code)  # it has an event loop of its own
    said = capsys.readouterr()
    return Said(code, said.out, said.err)


def exit_code() -> object:
    with pytest.raises(SystemExit) as raised:
        main()
    return raised.value.code
