"""Artifacts over plain HTTP, for files that are too large to travel inside a JSON message."""

from __future__ import annotations

import logging
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from tasks_server.artifacts import ArtifactStore
from tasks_server.transport.guards import caller_of

log = logging.getLogger(__name__)


class ArtifactDownload:
    """`GET /artifacts/{task_id}/{name}`: the owner gets the file, ranges included; everybody else a 404.

    Files come from tools and documents, so a browser must neither guess a type nor run what is inside.
    """

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    async def download(self, request: Request) -> Response:
        task_id, name = request.path_params["task_id"], request.path_params["name"]
        artifact = await self._artifacts.find(caller_of(request), task_id, name)
        if artifact is None:
            return _not_found()
        try:
            facts = await anyio.to_thread.run_sync(Path.stat, artifact.path)
        except FileNotFoundError:
            log.warning("The file of artifact %s/%r is missing from the store", task_id, name)
            return _not_found()
        return FileResponse(
            artifact.path,
            stat_result=facts,
            media_type=artifact.mime_type,
            filename=artifact.name,
            content_disposition_type="attachment",
            headers={
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox",
                "Cache-Control": "private, max-age=3600",
            },
        )


def _not_found() -> Response:
    return PlainTextResponse("Not found.\n", status_code=404)
