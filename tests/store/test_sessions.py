"""What can change about a client's session, on every replica at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tasks_server.errors import SubscriptionRefused
from tasks_server.sessions import SESSION_SECONDS, SessionState
from tasks_server.signals import SessionChanged
from tests.store.counting import traffic
from tests.store.interleaving import beside
from tests.store.record import OWNER, Record, collect

LIFE_MS = SESSION_SECONDS * 1000


async def expires_in(record: Record, session_id: str) -> int:
    (row,) = await record.sql("SELECT expires_at FROM session WHERE id = :id", id=session_id)
    return row.expires_at - await record.service.clock()


async def test_a_session_of_which_nothing_has_changed_has_no_row(record: Record):
    assert await record.sessions.find("s") is None
    assert await record.sessions.subscriptions("s", OWNER) == frozenset()


async def test_an_end_is_an_end_everywhere_and_for_ever(record: Record, another: Record):
    for each in (record, another):
        await each.sessions.end("s", OWNER)
    found = await another.sessions.find("s")
    assert found is not None
    assert found.ended
    await record.sessions.set_log_level("s", OWNER, "info")
    found = await another.sessions.find("s")
    assert found == SessionState("s", OWNER, "info", ended=True)


async def test_the_newest_log_level_counts(record: Record, another: Record):
    await record.sessions.set_log_level("s", OWNER, "info")
    await another.sessions.set_log_level("s", OWNER, "error")
    assert await record.sessions.find("s") == SessionState("s", OWNER, "error", ended=False)


async def test_nobody_changes_a_session_of_somebody_else(record: Record):
    sessions = record.sessions
    await sessions.subscribe("s", OWNER, "file:///mine")
    before = await sessions.find("s")
    await sessions.end("s", "mallory")
    await sessions.set_log_level("s", "mallory", "debug")
    await sessions.subscribe("s", "mallory", "file:///theirs")
    await sessions.unsubscribe("s", "mallory", "file:///mine")
    assert await sessions.find("s") == before
    assert await sessions.subscriptions("s", OWNER) == {"file:///mine"}
    assert await sessions.subscriptions("s", "mallory") == frozenset()


async def test_subscriptions_come_and_go_until_the_session_ends(record: Record, another: Record):
    sessions, elsewhere = record.sessions, another.sessions
    for uri in ("file:///a", "file:///a", "file:///b"):
        await sessions.subscribe("s", OWNER, uri)
    await sessions.subscribe("other", OWNER, "file:///c")
    assert await elsewhere.subscriptions("s", OWNER) == {"file:///a", "file:///b"}
    for uri in ("file:///a", "file:///a", "file:///never"):
        await elsewhere.unsubscribe("s", OWNER, uri)
    assert await sessions.subscriptions("s", OWNER) == {"file:///b"}
    await sessions.end("s", OWNER)
    assert await elsewhere.subscriptions("s", OWNER) == frozenset()
    assert await elsewhere.subscriptions("other", OWNER) == {"file:///c"}


async def test_a_session_has_only_so_many_subscriptions(
    record: Record, another: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.sessions.MOST_SUBSCRIPTIONS", 2)
    sessions, elsewhere = record.sessions, another.sessions
    await sessions.subscribe("s", OWNER, "file:///a")
    _, refused = await beside(
        record,
        sessions.subscribe("s", OWNER, "file:///b"),
        another,
        lambda: refusal(elsewhere.subscribe("s", OWNER, "file:///c")),
    )
    assert "at most 2 subscriptions" in str(refused)
    assert await sessions.subscriptions("s", OWNER) == {"file:///a", "file:///b"}
    await sessions.subscribe("s", OWNER, "file:///b")  # which is there already


async def refusal(subscribing: Any) -> SubscriptionRefused | None:
    try:
        await subscribing
    except SubscriptionRefused as refused:
        return refused
    return None


@pytest.mark.parametrize("uri", ["file:///\0", "file:///" + "é" * 1_000], ids=["NUL", "too long"])
async def test_a_uri_that_cannot_be_kept_is_refused(record: Record, uri: str):
    with pytest.raises(SubscriptionRefused):
        await record.sessions.subscribe("s", OWNER, uri)
    assert await record.sessions.find("s") is None


async def test_the_longest_uri_is_kept(record: Record):
    uri = "file:///" + "é" * 996
    await record.sessions.subscribe("s", OWNER, uri)
    assert await record.sessions.subscriptions("s", OWNER) == {uri}


async def test_an_id_that_no_database_takes_is_no_session(record: Record):
    assert await asyncio.gather(*(record.sessions.find(each) for each in ("\0", "s"))) == [None, None]


async def test_sessions_of_all_callers_share_a_reading(record: Record):
    for number in range(10):
        await record.sessions.set_log_level(str(number), OWNER, "info")
    with traffic(record) as seen:
        found = await asyncio.gather(*(record.sessions.find(str(number % 12)) for number in range(30)))
    assert [state is None for state in found] == [number % 12 > 9 for number in range(30)]
    assert seen.count("SELECT") <= 2


async def test_whoever_has_a_stream_of_the_session_hears_of_it(record: Record, another: Record):
    await record.start()
    async with record.bus.subscribe(SessionChanged) as signals:
        await another.sessions.set_log_level("s", OWNER, "info")
        await another.sessions.subscribe("s", OWNER, "file:///a")
        await another.sessions.unsubscribe("s", OWNER, "file:///a")
        await another.sessions.end("s", OWNER)
        assert await collect(signals, 4) == [SessionChanged("s")] * 4


async def test_a_row_outlives_the_token_of_its_session(record: Record):
    """The token was made before; each change begins the row's life anew."""
    await record.sessions.end("s", OWNER)
    assert await expires_in(record, "s") in range(LIFE_MS - 5_000, LIFE_MS + 1)
    await record.sql("UPDATE session SET expires_at = expires_at - 100000")
    await record.sessions.set_log_level("s", OWNER, "info")
    assert await expires_in(record, "s") in range(LIFE_MS - 5_000, LIFE_MS + 1)
    assert await record.expiry.forget_sessions() == 0


async def test_expired_sessions_are_forgotten_in_batches(record: Record, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasks_server.lifecycle.expiry.SESSIONS_BATCH", 2)
    for session_id in ("a", "b", "c", "kept"):
        await record.sessions.subscribe(session_id, OWNER, "file:///a")
    await record.sql("UPDATE session SET expires_at = 1 WHERE id <> 'kept'")
    assert await record.sessions.find("a") is None
    assert [await record.expiry.forget_sessions() for _ in range(3)] == [2, 1, 0]
    rows = await record.sql("SELECT session_id FROM session_subscription")
    assert [row.session_id for row in rows] == ["kept"]
    kept = await record.sessions.find("kept")
    assert kept == SessionState("kept", OWNER, None, ended=False)
