"""Artifacts over plain HTTP, for files that are too large to travel inside a JSON message."""

from __future__ import annotations

import logging
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tasks_server.artifacts import Artifact, ArtifactStore
from tasks_server.errors import ArtifactStoreFailed, FileMissing
from tasks_server.transport.guards import caller_of
from tasks_server.transport.ranges import Part, Unsatisfiable, is_unchanged, requested_part

log = logging.getLogger(__name__)


class ArtifactDownload:
    """`GET /artifacts/{task_id}/{name}`: the owner gets the file, ranges included; everybody else a 404."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    async def download(self, request: Request) -> Response:
        task_id, name = request.path_params["task_id"], request.path_params["name"]
        artifact = await self._artifacts.find(caller_of(request), task_id, name)
        if artifact is None:
            return _not_found()
        headers = _headers_of(artifact)
        if is_unchanged(request.headers, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        try:
            part = requested_part(request.headers, artifact.size, headers["ETag"])
        except Unsatisfiable:
            return PlainTextResponse(
                "The range lies behind the end of the file.\n",
                status_code=416,
                headers={"Content-Range": f"bytes */{artifact.size}"},
            )
        return _PartOfArtifact(self._artifacts, artifact, part, headers)


class _PartOfArtifact(StreamingResponse):
    """Opens the file before the status is sent, so that a file which is gone or damaged is no success.

    Damage that only shows later ends the connection before the announced length is reached: the server closes
    it when a response is not completed.
    """

    def __init__(
        self, artifacts: ArtifactStore, artifact: Artifact, part: Part, headers: dict[str, str]
    ) -> None:
        headers = {**headers, "Content-Length": str(part.end - part.start)}
        if not part.is_whole:
            headers["Content-Range"] = part.content_range
        super().__init__((), 200 if part.is_whole else 206, headers, artifact.mime_type)
        self._artifacts = artifacts
        self._artifact = artifact
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        artifact, part = self._artifact, self._part
        started = False
        try:
            async with self._artifacts.reading(artifact, part.start, part.end) as chunks:
                if scope["method"] != "HEAD":
                    self.body_iterator = chunks
                started = True
                await super().__call__(scope, receive, send)
        except ArtifactStoreFailed as error:
            log.warning("Artifact %s/%r: %s", artifact.task_id, artifact.name, error.__cause__ or error)
            if not started:
                await _failure(error)(scope, receive, send)


def _headers_of(artifact: Artifact) -> dict[str, str]:
    """Files come from tools and documents, so a browser must neither guess a type nor run what is inside."""
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "Content-Disposition": f"attachment; {_filename(artifact.name)}",
        "Content-Security-Policy": "sandbox",
        "ETag": f'"{artifact.sha256}"',
        "X-Content-Type-Options": "nosniff",
    }


def _filename(name: str) -> str:
    quoted = quote(name)
    return f'filename="{name}"' if quoted == name else f"filename*=utf-8''{quoted}"


def _failure(error: ArtifactStoreFailed) -> Response:
    return (
        _not_found() if isinstance(error, FileMissing) else PlainTextResponse(f"{error}\n", status_code=503)
    )


def _not_found() -> Response:
    return PlainTextResponse("Not found.\n", status_code=404)
