"""`initialize`: what both sides speak and can do (2025-11-25 basic/lifecycle)."""

from __future__ import annotations

from typing import Any, cast

from tasks_server.protocol.jsonrpc import InvalidParams
from tasks_server.protocol.server_info import SERVER_INFO
from tasks_server.protocol.v2025_11_25.revisions import Revision, negotiated
from tasks_server.protocol.v2025_11_25.session import Session, begin_session

HANDSHAKE = "initialize"

_INSTRUCTIONS = (
    "Tools run as durable tasks on workers. Large results are resources: read them by the URIs in the result."
)
_INSTRUCTIONS_WITH_TASKS = (
    "Tools run as durable tasks on workers. A call with a `task` gets a handle at once: poll it, ask for its result, "
    "which also brings its questions, cancel it, or come back later, in another session too. Other calls wait for "
    "the result. Large results are resources: read them by the URIs in the result."
)


def initialize(
    owner: str, params: dict[str, Any], *, tells_callers_apart: bool
) -> tuple[Session, dict[str, Any]]:
    """The session that begins, and the InitializeResult. Raises InvalidParams. Needs no parts."""
    requested = params.get("protocolVersion")
    if not isinstance(requested, str):
        raise InvalidParams("params.protocolVersion must be a string.")
    capabilities = params.get("capabilities")
    if not isinstance(capabilities, dict):
        raise InvalidParams("params.capabilities must be an object; a client without any sends {}.")
    _check_client_info(params.get("clientInfo"))
    revision = negotiated(requested)
    session = begin_session(owner, revision, cast("dict[str, Any]", capabilities))
    return session, {
        "protocolVersion": revision.version,
        "capabilities": _capabilities(revision, tells_callers_apart=tells_callers_apart),
        "serverInfo": _implementation(revision),
        "instructions": _INSTRUCTIONS_WITH_TASKS if revision.tasks else _INSTRUCTIONS,
    }


def _check_client_info(info: object) -> None:
    known = cast("dict[str, Any]", info) if isinstance(info, dict) else {}
    if not all(isinstance(known.get(name), str) for name in ("name", "version")):
        raise InvalidParams("params.clientInfo must be an object with a name and a version.")


def _capabilities(revision: Revision, *, tells_callers_apart: bool) -> dict[str, Any]:
    capabilities: dict[str, Any] = {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
        "logging": {},
    }
    if revision.completions:
        capabilities["completions"] = {}
    if revision.tasks:
        tasks: dict[str, Any] = {"cancel": {}, "requests": {"tools": {"call": {}}}}
        if tells_callers_apart:
            tasks["list"] = {}
        capabilities["tasks"] = tasks
    return capabilities


def _implementation(revision: Revision) -> dict[str, str]:
    return {name: value for name, value in SERVER_INFO.items() if name != "title" or revision.titles}
