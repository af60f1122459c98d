"""A session: what a client said in its handshake.

What can change about a session (that it has ended, its log level, its subscriptions) is in the record, see `Sessions`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from tasks_server.protocol.v2025_11_25.revisions import Revision

USUAL_LOG_LEVEL = "info"
"""What a client gets that has not set a level; the choice is the server's (server/utilities/logging)."""

_REMEMBERED = ("elicitation", "sampling", "roots", "tasks")
_MOST_ENTRIES = 8
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Session:
    """capabilities: what the client declared, as far as it matters here. log_level: the least severe that it wants."""

    id: str
    owner: str
    revision: Revision
    capabilities: dict[str, Any]
    log_level: str = USUAL_LOG_LEVEL

    @property
    def tag(self) -> str:
        """Tells it from the others of its client, in ids that may be seen; whose it is at all, its token says."""
        return session_tag(self.id)


def session_tag(session_id: str) -> str:
    return session_id[:8]


def begin_session(owner: str, revision: Revision, capabilities: Mapping[str, Any]) -> Session:
    return Session(secrets.token_hex(16), owner, revision, _as_remembered(revision, capabilities))


def _as_remembered(revision: Revision, capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """The client's capabilities in the words of 2025-11-25: what its revision took for granted is spelled out."""
    kept = {
        name: _bounded(cast("dict[str, Any]", value))
        for name in _REMEMBERED
        if isinstance(value := capabilities.get(name), dict)
    }
    if not revision.elicitation:
        kept.pop("elicitation", None)
    if not revision.url_elicitation:
        if "elicitation" in kept:
            kept["elicitation"] = {}
        if "sampling" in kept:
            kept["sampling"] = {"context": {}}
    if not revision.tasks:
        kept.pop("tasks", None)
    return kept


def _bounded(value: dict[str, Any], depth: int = 3) -> dict[str, Any]:
    """Declared names and what is declared below them, as far as any revision goes; a header has to carry it all."""
    names = [name for name in list(value)[:_MOST_ENTRIES] if len(name) <= _LONGEST_NAME]
    return {
        name: _bounded(cast("dict[str, Any]", value[name]), depth - 1) if depth else {}
        for name in names
        if isinstance(value[name], dict)
    }
