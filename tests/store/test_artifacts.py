"""Files that tasks produce: copied in whole, found by their owner only."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tasks_server.artifacts import artifact_uri, parse_artifact_uri
from tests.store.record import OWNER, Record, claim, finish, held


@pytest.mark.parametrize(
    "name", ["a.md", "with space & ümlaut.md", "../../etc/passwd", "a/b", "100%", "%2F", "?#"]
)
def test_any_name_survives_the_uri(name: str):
    assert parse_artifact_uri(artifact_uri("0" * 32, name)) == ("0" * 32, name)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "artifact://",
        "artifact://x",
        "artifact://x/",
        "artifact:///a",
        "file:///a",
        "artifact",
        "artifact://[x/a",
    ],
)
def test_other_uris_are_none_of_ours(uri: str):
    assert parse_artifact_uri(uri) is None


async def test_a_file_is_copied_in_and_found_by_its_owner(record: Record, tmp_path: Path):
    content = b"page\n" * 500_000
    source = tmp_path / "made"
    source.write_bytes(content)
    worker = record.worker()
    task = await claim(worker, await record.create())
    deposit = await record.artifacts.deposit(task.id, source)
    assert (deposit.size, deposit.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    facts = {"size": deposit.size, "sha256": deposit.sha256, "location": deposit.location}
    await worker.record_artifact(held(task), {"name": "../a b.md", "mime_type": "text/markdown", **facts})
    source.write_bytes(b"overwritten")
    found = await record.artifacts.find(OWNER, task.id, "../a b.md")
    assert found is not None
    path = record.directory / found.location
    assert path.read_bytes() == content
    assert path.parent == record.directory / task.id
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert (found.mime_type, found.size, found.sha256) == ("text/markdown", deposit.size, deposit.sha256)
    assert await record.artifacts.find("mallory", task.id, "../a b.md") is None
    assert await record.artifacts.find(OWNER, task.id, "a b.md") is None
    assert await record.artifacts.find(OWNER, "0" * 32, "../a b.md") is None
    assert await record.artifacts.find(OWNER, task.id, "\0") is None
    await finish(worker, task)
    assert await record.artifacts.find(OWNER, task.id, "../a b.md") == found


async def test_two_deposits_of_a_task_never_meet(record: Record, tmp_path: Path):
    source = tmp_path / "made"
    source.write_text("first")
    first = await record.artifacts.deposit("0" * 32, source)
    source.write_text("second")
    second = await record.artifacts.deposit("0" * 32, source)
    assert (record.directory / first.location).read_text() == "first"
    assert (record.directory / second.location).read_text() == "second"
    await record.artifacts.remove(["0" * 32, "not there"])
    assert list(record.directory.iterdir()) == []
