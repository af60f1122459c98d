"""A deployment whose artifacts lie in a bucket: nothing but the bucket holds files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from tests.crashes.artifact_tools import LINE
from tests.crashes.client import Client
from tests.crashes.test_dev import refuses
from tests.crashes.test_production_commands import deployment, http
from tests.support.processes import ProcessStarter
from tests.support.s3 import BUCKET, S3Server
from tests.support.waiting import wait_until

__all__ = ["http"]

LINES = 300_000  # more than one part of an upload


async def test_artifacts_and_large_results_travel_through_a_bucket(
    start: ProcessStarter,
    http: httpx2.AsyncClient,
    postgresql_url: str,
    redis_url: str,
    tmp_path: Path,
    s3: S3Server,
):
    env = {
        **deployment(postgresql_url, redis_url, tmp_path),
        **s3.environment,
        "TASKS_ARTIFACT_URL": f"s3://{BUCKET}/{tmp_path.name}",
    }
    server = start.tasks_server("serve", "--port", "0", env=env)
    start.tasks_server("worker", "--tools", "tests.crashes.artifact_tools", env=env)
    url = (await server.line(r"Listening on (http://\S+)")).group(1)
    client = Client(http, url)
    await wait_until(client.has_workers, describing="the server knows its worker")
    task = await client.ended(await client.submit("report", lines=LINES))
    uri, preview, link = task["result"]["content"]
    whole = (LINE * LINES).encode()
    assert whole.startswith(preview["text"][:1_000].encode())
    artifacts: list[str] = [uri["text"], link["uri"]]
    for artifact in artifacts:
        address = urlsplit(artifact)
        download = f"{url}/artifacts/{address.netloc}{address.path}"
        assert (await http.get(download)).content == whole
        part = await http.get(download, headers={"Range": "bytes=6000000-6000099"})
        assert (part.status_code, part.content) == (206, whole[6_000_000:6_000_100])
    assert not (tmp_path / "artifacts").exists()


async def test_a_store_that_cannot_work_is_refused_at_once(
    start: ProcessStarter, sqlite_url: str, redis_url: str, tmp_path: Path
):
    env = {**deployment(sqlite_url, redis_url, tmp_path), "TASKS_ARTIFACT_URL": "ftp://somewhere"}
    refusal = "TASKS_ARTIFACT_URL must begin with one of s3://"
    server = start.tasks_server("serve", "--port", "0", env=env)
    worker = start.tasks_server("worker", "--tools", "tests.crashes.artifact_tools", env=env)
    await refuses(server, refusal)
    await refuses(worker, refusal)
