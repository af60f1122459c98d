"""What a correct client sends; a test then takes away or replaces what it is about."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

VERSION = "2026-07-28"
MCP = "io.modelcontextprotocol/"
SUBSCRIPTION_ID = MCP + "subscriptionId"
TASKS_EXTENSION = MCP + "tasks"

TASKS: dict[str, Any] = {"extensions": {TASKS_EXTENSION: {}}}
FORM: dict[str, Any] = {"elicitation": {}}
FORM_AND_URL: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
SAMPLING: dict[str, Any] = {"sampling": {}}
ROOTS: dict[str, Any] = {"roots": {}}

NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}

LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}

Header = str | bytes
_numbers = itertools.count(1)


def encoded(value: str) -> str:
    """The Base64 sentinel form of a header value (streamable-http, "Value Encoding")."""
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


@dataclass(frozen=True)
class Request:
    """A message and the headers it goes with."""

    body: Any
    headers: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(
        cls, method: str, params: Mapping[str, Any] | None = None, *capabilities: Mapping[str, Any]
    ) -> Request:
        """A correct request that declares these client capabilities and nothing else."""
        params = params or {}
        meta = {
            MCP + "protocolVersion": VERSION,
            MCP + "clientInfo": {"name": "spec", "version": "1"},
            MCP + "clientCapabilities": {key: value for part in capabilities for key, value in part.items()},
        }
        body = {
            "jsonrpc": "2.0",
            "id": next(_numbers),
            "method": method,
            "params": {**params, "_meta": {**meta, **params.get("_meta", {})}},
        }
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
        }
        name = params.get(NAMED_BY.get(method, ""))
        if isinstance(name, str):
            headers["Mcp-Name"] = name
        return cls(body, tuple((key, value.encode()) for key, value in headers.items()))

    @property
    def id(self) -> Any:
        return self.body["id"]

    def header(self, name: str, *values: Header) -> Request:
        """With this header once for each value: none takes it away, two make it a duplicate."""
        others = [(key, value) for key, value in self.headers if key.lower() != name.lower()]
        given = [(name, value.encode() if isinstance(value, str) else value) for value in values]
        return replace(self, headers=(*others, *given))

    def version(self, version: str) -> Request:
        """Asking for another protocol version, in header and body alike."""
        return self.header("MCP-Protocol-Version", version).meta(MCP + "protocolVersion", version)

    def meta(self, key: str, value: Any) -> Request:
        """With another value in `_meta`; `...` takes the key away."""
        meta = {**self.body["params"]["_meta"], key: value}
        return self.params(_meta={name: given for name, given in meta.items() if given is not ...})

    def params(self, **changed: Any) -> Request:
        """With other params; `...` takes one away."""
        params = {**self.body["params"], **changed}
        return self.member("params", {name: value for name, value in params.items() if value is not ...})

    def member(self, name: str, value: Any) -> Request:
        """With another member of the message; `...` takes it away."""
        members = {**self.body, name: value}
        return replace(self, body={key: given for key, given in members.items() if given is not ...})

    @property
    def wire_headers(self) -> list[tuple[bytes, bytes]]:
        return [(name.encode(), value) for name, value in self.headers]

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def calling(tool: str, arguments: Mapping[str, Any] | None = None, *capabilities: Any) -> Request:
    return Request.of("tools/call", {"name": tool, "arguments": dict(arguments or {})}, *capabilities)


def listening(wanted: Mapping[str, Any], *capabilities: Any) -> Request:
    return Request.of("subscriptions/listen", {"notifications": wanted}, *capabilities)


def retried(request: Request, first: Mapping[str, Any], responses: Any = ...) -> Request:
    """The same request again (with a new id), with the state that came back and these answers."""
    again = request.member("id", next(_numbers)).params(requestState=first.get("requestState", ...))
    return again.params(inputResponses=responses)


def accept(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}
