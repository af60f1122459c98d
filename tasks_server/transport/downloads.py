"""Artifacts over plain HTTP, for files that are too large to travel inside a JSON message."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from tasks_server.artifacts import ArtifactStore
from tasks_server.transport.guards import caller_of


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
            return PlainTextResponse("Not found.\n", status_code=404)
        return FileResponse(
            artifact.path,
            media_type=artifact.mime_type,
            filename=artifact.name,
            content_disposition_type="attachment",
            headers={
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox",
                "Cache-Control": "private, max-age=3600",
            },
        )
