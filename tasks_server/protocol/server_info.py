"""Who answers: the Implementation object of this server, the same in every revision."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

NAME = "tasks-server"


def _own_version() -> str:
    try:
        return version(NAME)
    except PackageNotFoundError:
        return "0"


SERVER_INFO = {"name": NAME, "title": "Tasks server", "version": _own_version()}
