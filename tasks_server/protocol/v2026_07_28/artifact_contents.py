"""An artifact as the contents of a resource: text where it is text, Base64 where it is not."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import anyio.to_thread

from tasks_server.artifacts import Artifact
from tasks_server.errors import INTERNAL_ERROR, RpcError
from tasks_server.protocol.jsonrpc import InvalidParams

MAX_INLINE_BYTES = 16 * 1024 * 1024

_TEXT_TYPES = frozenset(
    {
        "application/ecmascript",
        "application/javascript",
        "application/json",
        "application/jsonl",
        "application/sql",
        "application/toml",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "image/svg+xml",
    }
)


async def read_artifact(uri: str, artifact: Artifact) -> dict[str, Any]:
    """TextResourceContents or BlobResourceContents (server/resources, "Resource Contents").

    Raises RpcError for a file that is too large for a JSON message or has disappeared from the store.
    """
    if artifact.size > MAX_INLINE_BYTES:
        raise InvalidParams(
            f"{artifact.name} has {artifact.size} bytes; a message holds {MAX_INLINE_BYTES}. "
            f"Download it: GET /artifacts/{artifact.task_id}/{artifact.name}",
            {"uri": uri, "size": artifact.size},
        )
    try:
        content = await anyio.to_thread.run_sync(Path.read_bytes, artifact.path)
    except FileNotFoundError:
        raise RpcError(INTERNAL_ERROR, f"The file of {artifact.name} is missing from the store.") from None
    contents: dict[str, Any] = {"uri": uri, "mimeType": artifact.mime_type}
    text = _decoded(content) if is_text(artifact.mime_type) else None
    if text is not None:
        return {**contents, "text": text}
    return {**contents, "blob": base64.b64encode(content).decode()}


def is_text(mime_type: str) -> bool:
    kind = mime_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
