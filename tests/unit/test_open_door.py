"""Listening where strangers can reach it takes a decision; only what listens asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks_server.embedded.dev import DevOptions, dev
from tasks_server.errors import ConfigurationError
from tasks_server.listener import open_listener
from tasks_server.serve import serve
from tasks_server.settings import Settings

EVERYWHERE = "0.0.0.0"
REFUSED = r"Refusing to listen on 0\.0\.0\.0: callers are not authenticated.*TASKS_ALLOW_UNAUTHENTICATED=true"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKS_HOST", EVERYWHERE)
    monkeypatch.setenv("TASKS_PORT", "0")
    monkeypatch.delenv("TASKS_ALLOW_UNAUTHENTICATED", raising=False)


def test_a_command_that_does_not_listen_may_share_the_servers_environment():
    assert Settings.read().host == EVERYWHERE


async def test_serve_refuses_to_let_strangers_in():
    with pytest.raises(ConfigurationError, match=REFUSED):
        await serve(Settings.read())


async def test_dev_refuses_to_let_strangers_in(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=REFUSED):
        await dev(DevOptions(tmp_path / "data", (), 1, {}))
    assert not (tmp_path / "data").exists()


def test_who_says_so_may_let_strangers_in(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASKS_ALLOW_UNAUTHENTICATED", "true")
    with open_listener(Settings.read()) as listener:
        assert listener.getsockname()[0] == EVERYWHERE
