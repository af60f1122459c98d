"""An artifact as the contents of a resource: text where it is text, Base64 where it is not."""

from __future__ import annotations

import base64
import logging
from typing import Any

from tasks_server.artifacts import Artifact, ArtifactStore
from tasks_server.errors import INTERNAL_ERROR, ArtifactStoreFailed, RpcError
from tasks_server.protocol.jsonrpc import InvalidParams

log = logging.getLogger(__name__)

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


async def read_artifact(uri: str, artifact: Artifact, store: ArtifactStore) -> dict[str, Any]:
    """TextResourceContents or BlobResourceContents (server/resources, "Resource Contents").

    Raises RpcError for a file that is too large for a JSON message, or that the store cannot give as it was.
    """
    if artifact.size > MAX_INLINE_BYTES:
        raise InvalidParams(
            f"{artifact.name} has {artifact.size} bytes; a message holds {MAX_INLINE_BYTES}. "
            f"Download it: GET /artifacts/{artifact.task_id}/{artifact.name}",
            {"uri": uri, "size": artifact.size},
        )
    try:
        async with store.reading(artifact) as chunks:
            content = b"".join([chunk async for chunk in chunks])
    except ArtifactStoreFailed as error:
        log.warning("Artifact %s/%r: %s", artifact.task_id, artifact.name, error.__cause__ or error)
        raise RpcError(INTERNAL_ERROR, f"{artifact.name} cannot be read. {error}") from None
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
