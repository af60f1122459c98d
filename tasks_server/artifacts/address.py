"""The URIs of artifacts."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

SCHEME = "artifact"


def artifact_uri(task_id: str, name: str) -> str:
    """`artifact://{task_id}/{name}`, with the name percent-encoded."""
    return f"{SCHEME}://{task_id}/{quote(name, safe='')}"


def parse_artifact_uri(uri: str) -> tuple[str, str] | None:
    """(task id, name), or None if the URI is of another kind."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # an IPv6 address that is none
        return None
    name = unquote(parts.path.removeprefix("/"))
    return (parts.netloc, name) if parts.scheme == SCHEME and parts.netloc and name else None
