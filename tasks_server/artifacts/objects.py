"""Artifacts in an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure.

Credentials, region and endpoint come from the environment variables that the provider's own tools use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from tasks_server.artifacts.files import Opened, StoredFile, Write
from tasks_server.errors import ArtifactStoreFailed, FileMissing

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore as Bucket
    from obstore.store import RetryConfig

PART_BYTES = 5 * 1024 * 1024
PARTS_IN_FLIGHT = 4  # so that a file never takes more memory than these
WALK_BATCH = 1000
REQUESTS_IN_FLIGHT = 16
ABORT_SECONDS = 2.0
REQUEST_TIMEOUT = timedelta(seconds=30)

# Long enough for a store that restarts, short enough for a tool that waits for it.
RETRIES: RetryConfig = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}


class ObjectStore:
    """Implements `FileStore` in a bucket, under the prefix that the URL names."""

    def __init__(self, url: str) -> None:
        """Raises ValueError for a URL or a configuration that cannot work; asks nobody yet."""
        self._bucket: Bucket = _opened(url)

    @asynccontextmanager
    async def writing(self, location: str) -> AsyncGenerator[Write]:
        upload: Any = obstore.open_writer_async(
            self._bucket, location, buffer_size=PART_BYTES, max_concurrency=PARTS_IN_FLIGHT
        )

        async def write(chunk: bytes) -> None:
            with _explained():
                await upload.write(chunk)

        try:
            yield write
        except BaseException as error:
            with suppress(BaseError, OSError), anyio.move_on_after(ABORT_SECONDS, shield=True):
                await upload.__aexit__(type(error), error, error.__traceback__)  # gives its parts up
            raise
        with _explained():
            await upload.close()

    @asynccontextmanager
    async def reading(self, location: str, start: int, end: int) -> AsyncGenerator[Opened]:
        with _explained():
            if start == end:  # there is no range of no bytes
                first, size = b"", (await obstore.head_async(self._bucket, location))["size"]
            else:
                until = min(end, start + PART_BYTES)
                found = await obstore.get_async(self._bucket, location, options={"range": (start, until)})
                first, size = bytes(await found.bytes_async()), found.meta["size"]
        yield Opened(size, self._parts(location, first, start + PART_BYTES, min(end, size)))

    async def _parts(self, location: str, first: bytes, start: int, end: int) -> AsyncGenerator[bytes]:
        """Each in a request of its own: one that lasted as long as its slowest reader would be timed out."""
        if first:
            yield first
        for begin in range(start, end, PART_BYTES):
            with _explained():
                part = await obstore.get_range_async(
                    self._bucket, location, start=begin, end=min(end, begin + PART_BYTES)
                )
            yield bytes(part)

    async def remove(self, locations: Sequence[str]) -> None:
        with _explained():
            await obstore.delete_async(self._bucket, list(locations))

    async def remove_tasks(self, task_ids: Sequence[str]) -> None:
        slots = asyncio.Semaphore(REQUESTS_IN_FLIGHT)

        async def remove(task_id: str) -> None:
            async with slots:
                async for batch in _listed(self._bucket, task_id):
                    await self.remove([entry["path"] for entry in batch])

        with _explained():
            await _all(remove(task_id) for task_id in task_ids)

    async def walk(self) -> AsyncGenerator[Sequence[StoredFile]]:
        with _explained():
            async for batch in _listed(self._bucket):
                now = datetime.now(UTC)
                yield [
                    StoredFile(entry["path"], (now - entry["last_modified"]).total_seconds())
                    for entry in batch
                    if "/" in entry["path"]
                ]


def _listed(bucket: Bucket, folder: str | None = None) -> AsyncIterator[Sequence[ObjectMeta]]:
    # Partly untyped, because it could also answer with Arrow tables.
    return obstore.list(bucket, folder, chunk_size=WALK_BATCH)  # pyright: ignore[reportUnknownMemberType]


async def _all(calls: Generator[Awaitable[Any]]) -> None:
    """Wait for all of them, then raise what went wrong in one of them."""
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _opened(url: str) -> Bucket:
    # Whoever names an endpoint without TLS means it.
    options: Any = {"allow_http": True, "connect_timeout": timedelta(seconds=5), "timeout": REQUEST_TIMEOUT}
    try:
        return from_url(url, client_options=options, retry_config=RETRIES)
    except BaseError as error:
        raise ValueError(str(error).partition("\n")[0].strip()) from error


@contextmanager
def _explained() -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FileMissing from None
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise ArtifactStoreFailed("The artifact store refuses this server's credentials.") from error
    except (BaseError, OSError) as error:
        raise ArtifactStoreFailed("The artifact store does not answer as it should.") from error
