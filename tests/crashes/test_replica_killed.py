"""`kill -9` of the server that holds a stream of a session: its client goes on at another one and loses nothing."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import pytest

from tests.crashes.house import House, Job
from tests.crashes.session_client import Message, SessionClient, Told
from tests.support.processes import Started
from tests.support.waiting import wait_until

RELATED_TASK = "io.modelcontextprotocol/related-task"


@dataclass
class Two:
    """Two servers and a worker. The first is to die."""

    house: House
    doomed: Started
    url: str
    other: str
    client: SessionClient

    async def kill(self, told: Told) -> None:
        """Kill the first server; the client reads what it had sent."""
        self.doomed.send(signal.SIGKILL)
        assert await self.doomed.ended() == -signal.SIGKILL
        await told.cut_off()

    def job(self, tool: str) -> Job:
        diary, gate = self.house.paths(tool)
        return Job("", diary, gate)

    def call(self, tool: str, job: Job) -> Message:
        return self.client.calling(tool, diary=str(job.diary_file), gate=str(job.gate))

    async def hand_out(self, tool: str, job: Job) -> str:
        """Call a tool as a task, at the server that stays; its id."""
        params: Message = {**self.call(tool, job)["params"], "task": {}}
        created = await self.client.request(self.other, "tools/call", params)
        return created["task"]["taskId"]

    async def has_logged(self, task_id: str) -> None:
        """Wait until there is a log line in the record, which nobody has been told."""

        async def look() -> bool:
            return "log" in [kind for kind, _ in await self.house.record.events(task_id)]

        await wait_until(look, describing=f"a log line of {task_id}")


@pytest.fixture
async def two(house: House) -> Two:
    doomed, first = await house.serve()
    _, second = await house.serve()
    await house.work(house.tool("saga", "saga"), house.tool("dilemma", "dilemma"))
    client = SessionClient(house.http)
    await client.open(first.url)
    for each in (first, second):
        await each.offers("saga")
    return Two(house, doomed, first.url, second.url, client)


async def test_a_call_goes_on_at_another_server(two: Two):
    job = two.job("saga")
    call = two.call("saga", job)
    async with two.client.sent(two.url, call) as told:
        await told.until("notifications/message")
        await job.began()
        await two.kill(told)
    job.gate.touch()
    async with two.client.listening(two.other, told.last_id) as rest:
        response = await rest.until("response")
    assert response["id"] == call["id"]
    assert response["result"]["content"][0]["text"] == "done"
    assert told.lines + rest.lines == ["before", "after"]
    assert sorted({*told.progress, *rest.progress}) == sorted(told.progress + rest.progress)
    assert job.diary == ["start", "end"], "the tool ran once"


async def test_a_call_that_ended_meanwhile_is_answered_by_another_server(two: Two):
    job = two.job("saga")
    call = two.call("saga", job)
    async with two.client.sent(two.url, call) as told:
        await told.primed()
        await two.kill(told)
    job.gate.touch()
    await job.has_written("end")
    async with two.client.listening(two.other, told.last_id) as rest:
        response = await rest.until("response")
    assert (response["id"], response["result"]["content"][0]["text"]) == (call["id"], "done")
    assert told.lines + rest.lines == ["before", "after"]


async def test_waiting_for_a_result_goes_on_at_another_server(two: Two):
    job = two.job("saga")
    task_id = await two.hand_out("saga", job)
    await two.has_logged(task_id)
    fetch = two.client.message("tasks/result", {"taskId": task_id})
    async with two.client.sent(two.url, fetch) as told:
        await told.primed()
        await two.kill(told)
    job.gate.touch()
    async with two.client.listening(two.other, told.last_id) as rest:
        response = await rest.until("response")
    assert response["id"] == fetch["id"]
    assert response["result"]["content"][0]["text"] == "done"
    assert response["result"]["_meta"][RELATED_TASK] == {"taskId": task_id}
    assert rest.lines == ["after"]
    assert all(each["params"]["_meta"][RELATED_TASK] == {"taskId": task_id} for each in rest.messages[:-1])


async def test_a_question_is_answered_at_another_server(two: Two):
    job = two.job("dilemma")
    job.gate.touch()
    call = two.call("dilemma", job)
    async with two.client.sent(two.url, call) as told:
        question = await told.until("elicitation/create")
        await two.kill(told)
    await two.client.answer(two.other, question)
    async with two.client.listening(two.other, told.last_id) as rest:
        response = await rest.until("response")
    assert response["result"]["content"][0]["text"] == "done"
    assert told.questions + rest.questions == [question["id"]], "it was asked once"


async def test_a_question_that_came_too_late_is_asked_by_another_server(two: Two):
    job = two.job("dilemma")
    call = two.call("dilemma", job)
    async with two.client.sent(two.url, call) as told:
        await told.primed()
        await job.began()
        await two.kill(told)
    job.gate.touch()
    async with two.client.listening(two.other, told.last_id) as rest:
        await two.client.answer(two.other, await rest.until("elicitation/create"))
        response = await rest.until("response")
    assert response["result"]["content"][0]["text"] == "done"


async def test_a_question_of_a_task_is_answered_at_another_server(two: Two):
    job = two.job("dilemma")
    job.gate.touch()
    task_id = await two.hand_out("dilemma", job)
    async with two.client.sent(two.url, two.client.message("tasks/result", {"taskId": task_id})) as told:
        question = await told.until("elicitation/create")
        await two.kill(told)
    assert question["params"]["_meta"][RELATED_TASK] == {"taskId": task_id}
    async with two.client.listening(two.other, told.last_id) as rest:
        await two.client.answer(two.other, question)
        response = await rest.until("response")
    assert response["result"]["_meta"][RELATED_TASK] == {"taskId": task_id}
    assert rest.questions == []


async def test_a_new_waiter_is_asked_what_the_dead_server_had_asked(two: Two):
    job = two.job("dilemma")
    job.gate.touch()
    task_id = await two.hand_out("dilemma", job)
    async with two.client.sent(two.url, two.client.message("tasks/result", {"taskId": task_id})) as told:
        question = await told.until("elicitation/create")
        await two.kill(told)
    async with two.client.sent(two.other, two.client.message("tasks/result", {"taskId": task_id})) as anew:
        again = await anew.until("elicitation/create")
        assert again == question, "under the same id, so that a client that has it knows it"
        await two.client.answer(two.other, again)
        assert (await anew.until("response"))["result"]["content"][0]["text"] == "done"


async def test_what_a_session_has_missed_is_told_by_another_server(two: Two):
    job = two.job("saga")
    async with two.client.listening(two.url) as told:
        await told.primed()
        task_id = await two.hand_out("saga", job)
        assert (await told.until("notifications/tasks/status"))["params"]["taskId"] == task_id
        await two.kill(told)
    job.gate.touch()
    await job.has_written("end")
    async with two.client.listening(two.other, told.last_id) as rest:
        status = await rest.until("notifications/tasks/status")
        while status["params"]["status"] == "working":
            status = await rest.until("notifications/tasks/status")
    assert (status["params"]["taskId"], status["params"]["status"]) == (task_id, "completed")


async def test_a_server_that_stops_sends_its_clients_to_another_one(two: Two):
    job = two.job("saga")
    call = two.call("saga", job)
    async with two.client.sent(two.url, call) as told:
        await told.until("notifications/message")
        two.doomed.send(signal.SIGTERM)
        await told.cut_off()
    assert told.retry == "0"
    assert await two.doomed.ended() == 0
    job.gate.touch()
    async with two.client.listening(two.other, told.last_id) as rest:
        response = await rest.until("response")
    assert (response["id"], response["result"]["content"][0]["text"]) == (call["id"], "done")
    assert told.lines + rest.lines == ["before", "after"]
