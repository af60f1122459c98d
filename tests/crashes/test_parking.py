"""A question outlives everything that was running when it was asked."""

from __future__ import annotations

import signal

from tests.crashes.house import House
from tests.support.servers import ValkeyServer


async def test_a_question_survives_the_restart_of_everything(house_on_sand: House, valkey: ValkeyServer):
    house = house_on_sand
    tool = house.tool("inquiry", "inquiry")
    server, client = await house.serve()
    worker = await house.work(tool)
    await client.offers("inquiry")
    job = await house.submit(client, "inquiry")
    await house.parked(job)

    assert await worker.stop(signal.SIGTERM) == 0
    assert await server.stop(signal.SIGTERM) == 0
    valkey.kill()  # it keeps nothing
    valkey.start()

    _, client = await house.serve()
    await house.work(tool)
    assert list((await client.task(job.task_id))["inputRequests"]) == ["question-1"]
    await client.accept(job.task_id)
    await client.completed(job.task_id)
    story = await house.story(job)
    assert story.events == ["attempt", "question", "parked", "answer", "attempt"]
    assert story.diary == ["start", "step begun", "step done", "start", "end"]
    assert (story.attempt, story.crashes) == (1, 0)
