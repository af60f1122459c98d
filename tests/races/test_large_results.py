"""Results by size, with a real worker: what is recorded, what is kept as a file, and what if it cannot be kept."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from tasks_server.artifacts import Artifact, ArtifactStore, parse_artifact_uri
from tasks_server.artifacts.objects import ObjectStore
from tasks_server.encoding import decode_json
from tasks_server.task import Task, TaskStatus
from tests.races.working import settled, working
from tests.store.record import OWNER, Record
from tests.support.s3 import BUCKET
from workers import TaskContext, ToolError, tool

KIB = 1024
LIMITS = {"inline_result_bytes": 16 * KIB, "max_result_bytes": 64 * KIB}
LARGE = "A line of a long report.\n" * 8_000


class Rows(BaseModel):
    rows: list[str]


@tool(description="Reports.")
async def report() -> str:
    return LARGE


@tool(description="Lists.")
async def listing(count: int) -> Rows:
    return Rows(rows=["x" * 100] * count)


@tool(description="Fails at length.")
async def fail_at_length() -> str:
    raise ToolError(LARGE)


async def outcome(record: Record, task: Task) -> dict[str, Any]:
    ended = await settled(record, task.id)
    assert ended.status is TaskStatus.COMPLETED, ended
    assert ended.outcome is not None
    return decode_json(ended.outcome)


async def read(artifacts: ArtifactStore, link: dict[str, Any]) -> bytes:
    found = await artifacts.find(OWNER, *(parse_artifact_uri(link["uri"]) or ("", "")))
    assert isinstance(found, Artifact)
    assert (found.size, {"sha256": found.sha256}) == (link["size"], link["_meta"])
    async with artifacts.reading(found) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_large_text_is_a_preview_and_a_link_to_all_of_it(record: Record):
    async with working(record, report, fail_at_length, **LIMITS):
        for name in ("report", "fail_at_length"):
            result = await outcome(record, await record.create(name=name, arguments="{}"))
            preview, link = result["content"]
            assert result["isError"] is (name == "fail_at_length")
            assert LARGE.startswith(preview["text"][:1_000])
            assert len(preview["text"]) < 3_000
            assert await read(record.artifacts, link) == LARGE.encode()


async def test_a_structured_result_keeps_its_structure_up_to_the_ceiling(record: Record):
    async with working(record, listing, **LIMITS):
        tasks = [
            await record.create(name="listing", arguments=f'{{"count":{count}}}') for count in (10, 300, 900)
        ]
        small, large, too_large = [await outcome(record, task) for task in tasks]
    assert [block["type"] for block in small["content"]] == ["text"]
    assert len(large["structuredContent"]["rows"]) == 300
    assert [block["type"] for block in large["content"]] == ["text", "resource_link"]
    assert json.loads(await read(record.artifacts, large["content"][1])) == large["structuredContent"]
    assert too_large["isError"] is True
    assert "structuredContent" not in too_large
    whole = json.loads(await read(record.artifacts, too_large["content"][-1]))
    assert len(whole["structuredContent"]["rows"]) == 900


async def test_large_results_and_artifacts_lie_in_a_bucket(record: Record, s3: object):
    url = f"s3://{BUCKET}/{uuid4().hex}"

    @tool(description="Keeps.")
    async def keep(ctx: TaskContext) -> list[Any]:
        first = await ctx.artifact("a b.txt", "replaced")
        second = await ctx.artifact("a b.txt", "kept")
        assert first.uri == second.uri
        return [second, LARGE]

    async with working(record, keep, artifact_url=url, **LIMITS):
        result = await outcome(record, await record.create(name="keep", arguments="{}"))
    files = ObjectStore(url)
    artifacts = ArtifactStore(record.database, files)
    link, _, link_to_text = result["content"]
    assert await read(artifacts, link) == b"kept"
    assert await read(artifacts, link_to_text) == LARGE.encode()
    assert sum([len(batch) async for batch in files.walk()]) == 2
    assert not record.directory.exists()


async def test_names_of_parts_of_results_are_not_for_tools(record: Record):
    @tool(description="Takes a name.")
    async def take(ctx: TaskContext) -> None:
        await ctx.artifact("result/1.txt", "mine")

    async with working(record, take):
        result = await outcome(record, await record.create(name="take", arguments="{}"))
    assert result["isError"] is True
    assert "result/" in result["content"][0]["text"]


@contextmanager
def disk_full_after(size: int) -> Generator[None]:
    """No file of this process can grow beyond this, as on a full disk (but the error is another one)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def storing(source: Path) -> Callable[..., Any]:
    @tool(description="Stores a large file.", retries=1, retry_delay="10ms")
    async def store(ctx: TaskContext) -> str:
        return (await ctx.artifact("large", source)).name

    return store


async def test_a_full_disk_fails_the_tool_clearly_and_nothing_else(record: Record, tmp_path: Path):
    """The database's own files stay below the limit."""
    source = tmp_path / "made"
    with source.open("wb") as file:
        file.truncate(64 * KIB * KIB)
    async with working(record, storing(source), report) as crew:
        with disk_full_after(32 * KIB * KIB):
            result = await outcome(record, await record.create(name="store", arguments="{}", max_retries=1))
            assert result["isError"] is True
            assert "large could not be stored" in result["content"][0]["text"]
            assert "File too large" in result["content"][0]["text"]
            assert str(record.directory) not in result["content"][0]["text"]
            assert list(record.directory.glob("*/*")) == []
        assert not crew.running.done()
        again = await outcome(record, await record.create(name="store", arguments="{}"))
        assert again["content"] == [{"type": "text", "text": "large"}]
        assert sum(path.stat().st_size for path in record.directory.glob("*/*")) == source.stat().st_size


async def test_a_store_that_cannot_be_written_costs_no_result_that_fits(record: Record):
    record.directory.write_text("where a directory should be")
    async with working(record, listing, **LIMITS):
        tasks = [
            await record.create(name="listing", arguments=f'{{"count":{count}}}', max_retries=0)
            for count in (300, 900)
        ]
        fits, too_large = [await outcome(record, task) for task in tasks]
    assert len(fits["structuredContent"]["rows"]) == 300
    assert fits["isError"] is False
    assert too_large["isError"] is True
    assert "could not be stored" in too_large["content"][0]["text"]
