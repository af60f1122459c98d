"""Who sends a request, and what that request says about its sender.

Every request of revision 2026-07-28 describes its sender in `params._meta`; nothing is inferred from earlier
requests (basic/index, "Statelessness").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from tasks_server.elicitation import missing_capability
from tasks_server.log_level import LOG_LEVELS, is_wanted
from tasks_server.protocol.jsonrpc import InvalidParams, MissingClientCapability
from tasks_server.task import Door, Origin

ANONYMOUS = "anonymous"
"""The owner of everything that callers ask for who are not told apart."""

TASKS_EXTENSION = "io.modelcontextprotocol/tasks"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
CLIENT_INFO_KEY = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"
SUBSCRIPTION_ID_KEY = "io.modelcontextprotocol/subscriptionId"
SERVER_INFO_KEY = "io.modelcontextprotocol/serverInfo"


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of one request.

    owner is who the transport found the sender to be; all tasks are scoped by it. capabilities is the
    request's ClientCapabilities object. Who the client says it is decides nothing and is not kept.
    session and request_id: where the request can be found again, for revisions that have sessions.
    """

    owner: str
    protocol_version: str
    capabilities: dict[str, Any]
    log_level: str | None = None
    progress_token: str | int | None = None
    session: str | None = None
    request_id: str | int | None = None

    @property
    def declares_tasks(self) -> bool:
        extensions: object = self.capabilities.get("extensions")
        return isinstance(extensions, dict) and isinstance(
            cast("dict[str, Any]", extensions).get(TASKS_EXTENSION), dict
        )

    def require_tasks(self, what: str) -> None:
        """Raise MissingClientCapability for a client that has not declared the tasks extension."""
        if not self.declares_tasks:
            raise MissingClientCapability(
                {"extensions": {TASKS_EXTENSION: {}}},
                f"{what} needs a client that declares the {TASKS_EXTENSION} extension on this request.",
            )

    def lacks(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        """The capabilities this client would need to be asked `question`; None if it may be asked."""
        return missing_capability(question, self.capabilities)

    def wants_log(self, level: str) -> bool:
        """True for messages at least as severe as the level this request asked for, if it asked for any."""
        return is_wanted(level, self.log_level)

    def origin(self, door: Door) -> Origin:
        return Origin(
            door=door,
            protocol_version=self.protocol_version,
            capabilities=self.capabilities,
            log_level=self.log_level,
            # Without a session nothing of the request is said again later.
            progress_token=None if self.session is None else self.progress_token,
            session=self.session,
            request_id=self.request_id,
        )


def read_caller(owner: str, meta: dict[str, Any]) -> Caller:
    """Raises InvalidParams for a `_meta` whose protocol fields have the wrong type."""
    capabilities = meta[CAPABILITIES_KEY]
    if not isinstance(capabilities, dict):
        raise InvalidParams(f"params._meta['{CAPABILITIES_KEY}'] must be an object.")
    client_info = meta.get(CLIENT_INFO_KEY)
    if client_info is not None and not isinstance(client_info, dict):
        raise InvalidParams(f"params._meta['{CLIENT_INFO_KEY}'] must be an object.")
    log_level = meta.get(LOG_LEVEL_KEY)
    if log_level is not None and log_level not in LOG_LEVELS:
        raise InvalidParams(f"params._meta['{LOG_LEVEL_KEY}'] must be one of {', '.join(LOG_LEVELS)}.")
    return Caller(
        owner=owner,
        protocol_version=meta[VERSION_KEY],
        capabilities=cast("dict[str, Any]", capabilities),
        log_level=log_level,
        progress_token=read_progress_token(meta),
    )


def read_progress_token(meta: dict[str, Any]) -> str | int | None:
    token = meta.get("progressToken")
    if isinstance(token, bool) or not isinstance(token, str | int | None):
        raise InvalidParams("params._meta.progressToken must be a string or an integer.")
    return token
