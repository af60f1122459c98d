"""Results that are too large for the record: their large parts become artifacts, a preview and a link stay.

Nothing is lost by it, and nothing is changed that a tool has promised: `structuredContent` stays as it is, or the
result says that it could not.
"""

from __future__ import annotations

import base64
import binascii
import logging
import mimetypes
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tasks_server.encoding import decode_json, encode_json
from tasks_server.errors import INTERNAL_ERROR, RpcError
from workers.artifact import Artifact
from workers.content import Wire, link_to, text_block
from workers.errors import Transient
from workers.port import StoredArtifact
from workers.units import size_in_words

log = logging.getLogger(__name__)

Keep = Callable[[str, bytes, str], Awaitable[StoredArtifact]]
"""Stores content under a name and a MIME type, as an artifact of the task."""

PREVIEW_CHARACTERS = 2_000
WORTH_KEEPING_BYTES = 8 * 1024
"""What is smaller stays: its preview and link would hardly be less."""

OWN_NAMES = "result/"
"""How the names of artifacts begin that are made here; tools cannot use such names."""

_MARKDOWN = re.compile(r"^(#{1,6} |```|~~~|\|.*\|\s*$|[-*] \S)", re.MULTILINE)
_HTML = re.compile(r"\s*<(!doctype html|html)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ResultLimits:
    """In bytes of encoded JSON. inline: above it large parts are moved; most: above it nothing is recorded."""

    inline: int
    most: int


@dataclass(frozen=True, slots=True)
class _Part:
    """What a content block holds. text: as it is read, if it is text."""

    content: bytes
    mime_type: str
    text: str | None = None


async def abridged(result: Wire, limits: ResultLimits, keep: Keep) -> Wire:
    """The CallToolResult, with its large blocks moved until it fits.

    What may be recorded as it is stays so if it cannot be stored; otherwise raises what `keep` raises.
    """
    size = _size(result)
    if size is None or size <= min(limits.inline, limits.most):
        return result
    try:
        return await _abridged(result, size, limits, keep)
    except Transient as error:
        if size > limits.most:
            raise
        log.warning("A result of %s is recorded whole: %s", size_in_words(size), error)
        return result


async def _abridged(result: Wire, size: int, limits: ResultLimits, keep: Keep) -> Wire:
    content: list[Wire] = result["content"]
    sizes = [len(encode_json(block)) for block in content]
    movable = [
        index for index, size in enumerate(sizes) if size >= WORTH_KEEPING_BYTES and _part(content[index])
    ]
    least = size - sum(sizes[index] - PREVIEW_CHARACTERS for index in movable)
    blocks: dict[int, list[Wire]] = {}
    shrunk = size
    for index in sorted(movable, key=lambda index: sizes[index], reverse=True):
        if shrunk <= min(limits.inline, limits.most) or least > limits.most:
            break
        blocks[index] = await _moved(content[index], f"{OWN_NAMES}{index + 1}", keep)
        shrunk += len(encode_json(blocks[index])) - sizes[index]
    if shrunk > limits.most:
        rest = least if least > limits.most else shrunk
        return await _only_linked(result, _too_large(size, rest, limits.most), keep)
    moved = [block for index, old in enumerate(content) for block in blocks.get(index, [old])]
    return {**result, "content": moved}


def refuse_above(most: int, result: Wire, what: str) -> Wire:
    """The result of a prompt, resource or completion as it is. Raises RpcError: there is nothing to move it to."""
    size = _size(result)
    if size is not None and size > most:
        raise RpcError(
            INTERNAL_ERROR,
            f"{what} gave {size_in_words(size)} as JSON; a result may have {size_in_words(most)}. "
            "A tool can return this much, as an artifact.",
        )
    return result


def _size(result: Wire) -> int | None:
    """None for what is not JSON: whoever encodes it to record it says so."""
    try:
        return len(encode_json(result))
    except (TypeError, ValueError):
        return None


async def _moved(block: Wire, name: str, keep: Keep) -> list[Wire]:
    part = _part(block)
    assert part is not None, "only what can be moved is moved"
    link = await _kept(name, part, keep)
    if annotations := block.get("annotations"):
        link["annotations"] = annotations
    if uri := block.get("resource", {}).get("uri"):
        link["description"] = f"The contents of {uri}"
    if part.text is None:
        return [link]
    preview = text_block(_preview(part.text, link["uri"]))
    if annotations:
        preview["annotations"] = annotations
    return [preview, link]


async def _only_linked(result: Wire, reason: str, keep: Keep) -> Wire:
    """A result of which even the rest would be too large. Without its structured part it is no success."""
    link = await _kept(f"{OWN_NAMES}whole", _Part(encode_json(result), "application/json"), keep)
    note = f"{reason} All of it is in the artifact {link['uri']}."
    texts = [block["text"] for block in result["content"] if block.get("type") == "text"]
    previews = [text_block(_preview(texts[0], link["uri"]))] if texts else []
    is_error = bool(result.get("isError")) or "structuredContent" in result
    return {"content": [text_block(note), *previews, link], "isError": is_error}


def _too_large(size: int, rest: int, most: int) -> str:
    """size: of everything, so of structured content and its copy as text. rest: of what cannot be moved."""
    without = f", and {size_in_words(rest)} without the contents that can be kept elsewhere"
    return (
        f"The result has {size_in_words(size)} as JSON{without if rest < size else ''}; "
        f"{size_in_words(most)} is the most that a result may have."
    )


async def _kept(name: str, part: _Part, keep: Keep) -> Wire:
    suffix = _SUFFIXES.get(part.mime_type) or mimetypes.guess_extension(part.mime_type) or ""
    return link_to(Artifact.of(await keep(name + suffix, part.content, part.mime_type)))


_SUFFIXES = {"text/plain": ".txt", "text/markdown": ".md", "application/json": ".json", "text/html": ".html"}


def _part(block: Wire) -> _Part | None:
    """None for what cannot be moved: links, kinds of blocks that are not known here, bytes that are not Base64."""
    match block:
        case {"type": "text", "text": str(text)}:
            return _Part(text.encode(), _type_of(text), text)
        case {"type": "image" | "audio", "data": str(data)}:
            return _decoded(data, block)
        case {"type": "resource", "resource": {"text": str(text)}}:
            return _Part(text.encode(), block["resource"].get("mimeType") or _type_of(text), text)
        case {"type": "resource", "resource": {"blob": str(data)}}:
            return _decoded(data, block["resource"])
        case _:
            return None


def _decoded(data: str, described: Wire) -> _Part | None:
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error:
        return None
    return _Part(content, described.get("mimeType") or "application/octet-stream")


def _type_of(text: str) -> str:
    if text.lstrip()[:1] in {"{", "["} and _is_json(text):
        return "application/json"
    beginning = text[:PREVIEW_CHARACTERS]
    if _HTML.match(beginning):
        return "text/html"
    return "text/markdown" if _MARKDOWN.search(beginning) else "text/plain"


def _is_json(text: str) -> bool:
    try:
        decode_json(text)
    except ValueError:
        return False
    return True


def _preview(text: str, uri: str) -> str:
    """How the text begins, cut at the end of a line or of a word where there is one."""
    if len(text) <= PREVIEW_CHARACTERS:
        return text
    beginning = text[:PREVIEW_CHARACTERS]
    for boundary in ("\n", " "):
        cut = beginning.rfind(boundary)
        if cut > PREVIEW_CHARACTERS // 2:
            beginning = beginning[:cut]
            break
    left_out = len(text) - len(beginning)
    return f"{beginning}\n\n[{left_out:,} of {len(text):,} characters are left out here. All of it: {uri}]"
