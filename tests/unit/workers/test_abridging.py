"""Large results: their large parts become artifacts, and nothing is lost by it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

import pytest

from tasks_server.encoding import encode_json
from tasks_server.errors import RpcError
from workers.abridging import PREVIEW_CHARACTERS, ResultLimits, abridged, refuse_above
from workers.port import StoredArtifact

KIB = 1024
LIMITS = ResultLimits(inline=32 * KIB, most=256 * KIB)
WORDS = "word after word, and a line\n"


class Kept:
    """What was stored, by name."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.mime_types: dict[str, str] = {}

    async def __call__(self, name: str, content: bytes, mime_type: str) -> StoredArtifact:
        self.content[name], self.mime_types[name] = content, mime_type
        digest = hashlib.sha256(content).hexdigest()
        return StoredArtifact(f"artifact://t/{name}", name, mime_type, len(content), digest)


def text(content: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, **more}


def result(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"content": list(content), "isError": False, **more}


def long_text(size: int, of: str = WORDS) -> str:
    return (of * (size // len(of) + 1))[:size]


async def shortened(value: dict[str, Any], limits: ResultLimits = LIMITS) -> tuple[dict[str, Any], Kept]:
    kept = Kept()
    before = json.dumps(value)
    after = await abridged(value, limits, kept)
    assert json.dumps(value) == before, "the tool's own object was changed"
    return after, kept


async def test_what_fits_stays_as_it_is():
    value = result(text("x" * 30 * KIB), structuredContent={"a": 1})
    after, kept = await shortened(value)
    assert after is value
    assert kept.content == {}


async def test_a_large_text_becomes_a_preview_and_a_link():
    whole = long_text(100 * KIB)
    after, kept = await shortened(result(text("Before."), text(whole, annotations={"audience": ["user"]})))
    first, preview, link = after["content"]
    assert first == text("Before.")
    assert kept.content == {"result/2.txt": whole.encode()}
    shown, _, note = preview["text"].partition("\n\n[")
    assert whole.startswith(shown)
    assert whole[len(shown)] == "\n"
    assert PREVIEW_CHARACTERS // 2 < len(shown) <= PREVIEW_CHARACTERS
    assert (
        note
        == f"{len(whole) - len(shown):,} of {len(whole):,} characters are left out here. All of it: {link['uri']}]"
    )
    assert link == {
        "type": "resource_link",
        "uri": "artifact://t/result/2.txt",
        "name": "result/2.txt",
        "mimeType": "text/plain",
        "size": len(whole),
        "annotations": {"audience": ["user"]},
        "_meta": {"sha256": hashlib.sha256(whole.encode()).hexdigest()},
    }
    assert preview["annotations"] == {"audience": ["user"]}


@pytest.mark.parametrize(
    ("content", "name", "mime_type"),
    [
        (json.dumps([WORDS] * 2000), "result/1.json", "application/json"),
        ("[not JSON " + long_text(40 * KIB), "result/1.txt", "text/plain"),
        ("# A title\n\n" + long_text(40 * KIB), "result/1.md", "text/markdown"),
        ("<!DOCTYPE html><html>" + long_text(40 * KIB), "result/1.html", "text/html"),
        ("ü" * 40 * KIB, "result/1.txt", "text/plain"),
    ],
)
async def test_a_text_is_stored_as_what_it_is(content: str, name: str, mime_type: str):
    after, kept = await shortened(result(text(content)))
    assert kept.content == {name: content.encode()}
    assert kept.mime_types == {name: mime_type}
    assert len(encode_json(after)) < LIMITS.inline


async def test_bytes_are_stored_as_bytes():
    picture, sound = os.urandom(30 * KIB), os.urandom(20 * KIB)
    after, kept = await shortened(
        result(
            {"type": "image", "data": base64.b64encode(picture).decode(), "mimeType": "image/png"},
            {
                "type": "resource",
                "resource": {
                    "uri": "file:///a.wav",
                    "mimeType": "audio/x-wav",
                    "blob": base64.b64encode(sound).decode(),
                },
            },
        ),
        ResultLimits(KIB, 256 * KIB),
    )
    assert list(kept.content.values()) == [picture, sound]
    assert [block["type"] for block in after["content"]] == ["resource_link", "resource_link"]
    assert [block["mimeType"] for block in after["content"]] == ["image/png", "audio/x-wav"]
    assert after["content"][0]["name"] == "result/1.png"
    assert after["content"][1]["description"] == "The contents of file:///a.wav"


async def test_only_as_much_is_moved_as_must_be_the_largest_first():
    after, kept = await shortened(result(*(text(long_text(size * KIB)) for size in (9, 60, 10, 9))))
    assert list(kept.content) == ["result/2.txt"]
    assert len(after["content"]) == 5


async def test_the_structured_part_stays_and_its_text_is_moved():
    structured = {"rows": ["x" * 100] * 1000}
    after, kept = await shortened(result(text(json.dumps(structured)), structuredContent=structured))
    assert after["structuredContent"] == structured
    assert list(kept.content) == ["result/1.json"]
    assert after["isError"] is False
    assert len(encode_json(after)) < LIMITS.most


async def test_a_structured_part_above_the_ceiling_makes_an_error_that_has_it_all():
    value = result(text("Done."), structuredContent={"rows": ["x" * 100] * 4000})
    after, kept = await shortened(value)
    note, preview, link = after["content"]
    assert after["isError"] is True
    assert "structuredContent" not in after
    assert json.loads(kept.content["result/whole.json"]) == value
    assert link["uri"] in note["text"]
    assert preview == text("Done.")


async def test_what_is_said_of_its_size_tells_the_text_that_repeats_it_apart():
    structured = {"rows": ["x" * 97] * 4 * KIB}
    after, _ = await shortened(result(text(json.dumps(structured)), structuredContent=structured))
    assert after["content"][0]["text"].startswith(
        "The result has 812.1 KiB as JSON, and 402 KiB without the contents that can be kept elsewhere; "
        "256 KiB is the most that a result may have. All of it is in the artifact "
    )
    after, _ = await shortened(result(text("Done."), structuredContent=structured))
    assert after["content"][0]["text"].startswith("The result has 400.1 KiB as JSON; 256 KiB is the most")


async def test_many_small_blocks_above_the_ceiling_are_kept_whole_and_are_no_error():
    value = result(*(text(f"{number:5000}") for number in range(100)))
    after, kept = await shortened(value)
    assert json.loads(kept.content["result/whole.json"]) == value
    assert after["isError"] is False
    assert len(after["content"]) == 3


async def test_previews_that_would_be_too_much_themselves_are_not_made():
    value = result(*(text(long_text(9 * KIB)) for _ in range(200)))
    after, kept = await shortened(value)
    assert list(kept.content) == ["result/whole.json"]
    assert len(encode_json(after)) < LIMITS.inline


async def test_many_small_blocks_below_the_ceiling_stay():
    value = result(*(text(f"{number:5000}") for number in range(20)))
    after, kept = await shortened(value)
    assert after == value
    assert kept.content == {}


async def test_a_large_error_is_an_error_still():
    after, _ = await shortened({"content": [text(long_text(500 * KIB))], "isError": True})
    assert after["isError"] is True
    assert len(encode_json(after)) < LIMITS.inline


async def test_what_is_not_base64_is_not_moved():
    value = result({"type": "image", "data": "?" * 40 * KIB, "mimeType": "image/png"})
    after, kept = await shortened(value)
    assert after == value
    assert kept.content == {}


async def test_an_inline_limit_above_the_ceiling_means_the_ceiling():
    after, kept = await shortened(result(text(long_text(100 * KIB))), ResultLimits(10**9, 50 * KIB))
    assert list(kept.content) == ["result/1.txt"]
    assert len(encode_json(after)) < 50 * KIB


@pytest.mark.parametrize("odd", [text("\ud800"), text("x", number=2**70)])
async def test_what_is_not_json_is_left_to_who_records_it(odd: dict[str, Any]):
    value = result(odd, text(long_text(100 * KIB)))
    assert await abridged(value, LIMITS, Kept()) is value


async def test_a_prompt_or_resource_above_the_ceiling_is_refused():
    value = {"contents": [{"uri": "a:b", "text": "x" * 300 * KIB}]}
    with pytest.raises(RpcError, match=r"resources/read a:b gave 300 KiB as JSON; a result may have 256 KiB"):
        refuse_above(LIMITS.most, value, "resources/read a:b")
    assert refuse_above(10**6, value, "resources/read a:b") is value
