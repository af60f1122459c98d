"""Files a tool leaves behind for the client to fetch."""

from __future__ import annotations

import mimetypes
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from workers.port import StoredArtifact

Content = bytes | str | Path


class Artifact(BaseModel):
    """A stored file. Returned from a tool, alone or inside a result, it becomes a `resource_link`.

    uri is what the client reads it under; size is in bytes, sha256 in hex.
    """

    model_config = ConfigDict(frozen=True)

    uri: str
    name: str
    mime_type: str
    size: int
    sha256: str

    @classmethod
    def of(cls, stored: StoredArtifact) -> Artifact:
        return cls(
            uri=stored.uri,
            name=stored.name,
            mime_type=stored.mime_type,
            size=stored.size,
            sha256=stored.sha256,
        )


def guess_mime_type(name: str, content: Content) -> str:
    guessed, _ = mimetypes.guess_type(name)
    return guessed or ("text/plain" if isinstance(content, str) else "application/octet-stream")


@contextmanager
def as_file(content: Content) -> Generator[Path]:
    """A path that holds `content`; text is written as UTF-8."""
    if isinstance(content, Path):
        yield content.absolute()  # a tool's working directory need not be the worker's
        return
    with tempfile.TemporaryDirectory(prefix="artifact-") as directory:
        path = Path(directory) / "content"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        yield path
