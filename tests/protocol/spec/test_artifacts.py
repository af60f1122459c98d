"""Files that tasks have kept: read as resources, or downloaded."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.protocol.spec.stack import Stack
from tests.protocol.spec.wire import Wire

NOBODYS = "artifact://0123456789abcdef0123456789abcdef/note.txt"


async def kept(wire: Wire, name: str, text: str, **more: str) -> str:
    return (await wire.call("keep_text", {"name": name, "text": text, **more})).text


def download_url(wire: Wire, uri: str) -> str:
    artifact = urlsplit(uri)
    return wire.url.removesuffix("/mcp") + f"/artifacts/{artifact.netloc}{artifact.path}"


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("note.md", "text/markdown"),
        ("data.json", "application/json"),
        ("a b/ü?#%.txt", "text/plain; charset=utf-8"),
        ("feed", "application/atom+xml"),
    ],
)
async def test_text_is_read_as_text(wire: Wire, other: Wire, name: str, mime_type: str):
    uri = await kept(wire, name, "Grüße,\n", mime_type=mime_type)
    result = (await other.request("resources/read", {"uri": uri})).result
    assert result["contents"] == [{"uri": uri, "mimeType": mime_type, "text": "Grüße,\n"}]
    assert result["cacheScope"] == "private"


@pytest.mark.parametrize("mime_type", ["image/png", "text/plain"])
async def test_what_is_not_text_is_read_as_base64_whatever_it_is_called(wire: Wire, mime_type: str):
    uri = (await wire.call("keep_bytes", {"name": "a", "size": 3, "mime_type": mime_type})).text
    (contents,) = (await wire.request("resources/read", {"uri": uri})).result["contents"]
    assert base64.b64decode(contents["blob"]) == b"\xff\xff\xff"
    assert "text" not in contents


@pytest.mark.parametrize("uri", [NOBODYS, "artifact://", "artifact:", "artifact://a", "artifact:///a"])
async def test_an_artifact_that_is_not_there_is_an_unknown_resource(wire: Wire, uri: str):
    error = (await wire.request("resources/read", {"uri": uri})).error
    assert (error["code"], error["data"]) == (-32602, {"uri": uri})


async def test_a_file_too_large_for_a_message_says_where_to_download_it(wire: Wire):
    size = 17 * 1024 * 1024
    uri = (await wire.call("keep_bytes", {"name": "big", "size": size})).text
    error = (await wire.request("resources/read", {"uri": uri})).error
    assert error["code"] == -32602
    url = download_url(wire, uri)
    assert urlsplit(url).path in error["message"]
    assert len((await wire.http.get(url)).content) == size


async def test_the_template_of_artifacts_is_listed(wire: Wire):
    templates = (await wire.request("resources/templates/list")).result["resourceTemplates"]
    assert "artifact://{taskId}/{name}" in [template["uriTemplate"] for template in templates]


async def test_a_download_is_saved_and_never_shown(wire: Wire, other: Wire):
    uri = await kept(wire, "ü/page.html", "<script>alert(1)</script>")
    response = await other.http.get(download_url(other, uri))
    assert response.status_code == 200
    assert response.text == "<script>alert(1)</script>"
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize(
    ("asked", "text", "content_range"),
    [
        ("bytes=3-5", "345", "bytes 3-5/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=-99", "0123456789", None),
        ("bytes=8-99999999", "89", "bytes 8-9/10"),
        ("Bytes = 0-0", "0", "bytes 0-0/10"),
        ("bytes=0-9", "0123456789", None),
        ("bytes=0-1,4-5", "0123456789", None),
        ("bytes=5-3", "0123456789", None),
        ("bytes=-", "0123456789", None),
        ("lines=1-2", "0123456789", None),
        ("bytes=" + "1" * 5000 + "-", "0123456789", None),
    ],
)
async def test_a_part_of_a_file_can_be_downloaded(
    wire: Wire, asked: str, text: str, content_range: str | None
):
    url = download_url(wire, await kept(wire, "digits.txt", "0123456789"))
    response = await wire.http.get(url, headers={"Range": asked})
    assert (response.status_code, response.text) == (206 if content_range else 200, text)
    assert response.headers.get("content-range") == content_range
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-length"] == str(len(text))


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=-0"])
async def test_a_part_behind_the_end_is_refused_with_the_size(wire: Wire, asked: str):
    url = download_url(wire, await kept(wire, "digits.txt", "0123456789"))
    response = await wire.http.get(url, headers={"Range": asked})
    assert (response.status_code, response.headers["content-range"]) == (416, "bytes */10")


async def test_an_empty_file_is_downloaded(wire: Wire):
    url = download_url(wire, await kept(wire, "empty.txt", ""))
    response = await wire.http.get(url)
    assert (response.status_code, response.content) == (200, b"")


async def test_the_tag_of_a_download_is_its_checksum(wire: Wire, other: Wire):
    url = download_url(wire, await kept(wire, "digits.txt", "0123456789"))
    whole = await wire.http.get(url)
    tag = whole.headers["etag"]
    assert tag == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    for known in (tag, f'"other", W/{tag}', "*"):
        unchanged = await other.http.get(url, headers={"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    assert (await wire.http.get(url, headers={"If-None-Match": '"other"'})).status_code == 200
    for condition, status in ((tag, 206), ('"other"', 200)):
        answer = await wire.http.get(url, headers={"Range": "bytes=3-5", "If-Range": condition})
        assert (answer.status_code, answer.text) == (status, "345" if status == 206 else "0123456789")


async def test_the_head_of_a_download_tells_its_size(wire: Wire):
    url = download_url(wire, await kept(wire, "digits.txt", "0123456789"))
    whole = await wire.http.head(url)
    part = await wire.http.head(url, headers={"Range": "bytes=3-5"})
    assert (whole.status_code, whole.headers["content-length"], whole.content) == (200, "10", b"")
    assert (part.status_code, part.headers["content-range"], part.content) == (206, "bytes 3-5/10", b"")


async def test_a_damaged_file_is_not_given_out_as_a_whole_one(wire: Wire, stack: Stack):
    size = 3 * 1024 * 1024
    uri = (await wire.call("keep_bytes", {"name": "a", "size": size})).text
    (file,) = (stack.directory / "artifacts" / urlsplit(uri).netloc).iterdir()
    file.write_bytes(b"\xff" * (size - 1) + b"\0")
    with pytest.raises(httpx2.RemoteProtocolError):
        await wire.http.get(download_url(wire, uri))
    assert "damaged" in (await wire.request("resources/read", {"uri": uri})).error["message"]
    file.write_bytes(b"\xff")
    for headers in ({}, {"Range": "bytes=0-0"}):
        response = await wire.http.get(download_url(wire, uri), headers=headers)
        assert (response.status_code, "damaged" in response.text) == (503, True)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_download_that_is_not_there_is_not_found(wire: Wire, method: str):
    response = await wire.http.request(method, download_url(wire, NOBODYS))
    assert response.status_code == 404


async def test_a_download_cannot_be_rebound_either(wire: Wire):
    url = download_url(wire, await kept(wire, "a.txt", "a"))
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert (await wire.http.get(url, headers=headers)).status_code == 403


async def test_a_file_that_has_disappeared_is_not_found(wire: Wire, stack: Stack):
    uri = await kept(wire, "a.txt", "a")
    for file in (stack.directory / "artifacts" / urlsplit(uri).netloc).iterdir():
        file.unlink()
    assert (await wire.http.get(download_url(wire, uri))).status_code == 404
    assert (await wire.request("resources/read", {"uri": uri})).error["code"] == -32603


async def test_health_is_told_under_any_name(wire: Wire):
    base = wire.url.removesuffix("/mcp")
    alive = await wire.http.get(base + "/healthz", headers={"Host": "10.0.0.1:8000"})
    assert alive.status_code == 200
    ready: httpx2.Response = await wire.http.get(base + "/readyz", headers={"Host": "10.0.0.1:8000"})
    assert ready.status_code == 200
    told: dict[str, Any] = ready.json()
    assert [told[name] for name in ("ready", "database", "redis", "workers")] == [True] * 4
    assert set(told["states"].values()) == {"ok"}
