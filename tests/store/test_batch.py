"""Doing together what arrives together, and failing apart what fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tasks_server.batch import Batch
from tasks_server.store.outage import is_outage
from tests.store.interleaving import Gate


class Doubler:
    """Doubles numbers; refuses the bad ones, and everything while it is away."""

    def __init__(self, *bad: int) -> None:
        self.calls: list[list[int]] = []
        self.bad = set(bad)
        self.away: Exception | None = None
        self.gate: Gate | None = None

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.calls.append(list(items))
        if self.gate is not None:
            await self.gate.pass_through()
        if self.away is not None:
            raise self.away
        if self.bad & set(items):
            raise ValueError(f"one of {items} is bad")
        return [item * 2 for item in items]


async def test_what_arrives_together_is_done_together_in_order():
    doubler = Doubler()
    batch = Batch(doubler, limit=4)
    assert await asyncio.gather(*(batch.submit(number) for number in range(6))) == [0, 2, 4, 6, 8, 10]
    assert doubler.calls == [[0, 1, 2, 3], [4, 5]]


async def test_what_arrives_meanwhile_waits_for_the_next_turn():
    doubler = Doubler()
    doubler.gate = Gate()
    batch = Batch(doubler)
    first = asyncio.create_task(batch.submit(1))
    await doubler.gate.reached.wait()
    others = [asyncio.create_task(batch.submit(number)) for number in (2, 3)]
    doubler.gate.open()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert doubler.calls == [[1], [2, 3]]


async def test_a_bad_item_fails_only_its_own_caller():
    batch = Batch(Doubler(2))
    results = await asyncio.gather(*(batch.submit(number) for number in range(4)), return_exceptions=True)
    assert [results[0], results[1], results[3]] == [0, 2, 6]
    assert isinstance(results[2], ValueError)


@pytest.mark.parametrize("error", [ConnectionRefusedError("away"), TimeoutError()], ids=repr)
async def test_an_outage_fails_everybody_at_once(error: Exception):
    """A hundred callers must not wait for a hundred timeouts in a row."""
    doubler = Doubler()
    doubler.away = error
    batch = Batch(doubler, hits_all=is_outage)
    results = await asyncio.gather(*(batch.submit(number) for number in range(100)), return_exceptions=True)
    assert all(result is error for result in results)
    assert len(doubler.calls) == 1
    doubler.away = None
    assert await batch.submit(1) == 2


async def test_who_has_gone_is_not_worked_for():
    doubler = Doubler()
    doubler.gate = Gate()
    batch = Batch(doubler, hits_all=is_outage)
    first = asyncio.create_task(batch.submit(1))
    await doubler.gate.reached.wait()
    gone, stays = asyncio.create_task(batch.submit(2)), asyncio.create_task(batch.submit(3))
    await asyncio.sleep(0)
    gone.cancel()
    first.cancel()
    doubler.gate.open()
    assert await stays == 6
    assert doubler.calls == [[1], [3]]
