"""From a local file to a Markdown file: detect, open, choose the pages, convert in remembered batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks_server.errors import RpcError
from workers import Declined, SyncTaskContext, ToolError
from workers.tools.documents.kinds import Kind, detect
from workers.tools.documents.opening import open_document
from workers.tools.documents.parts import Document, DocumentRefused, Part, parsing
from workers.tools.documents.selection import in_words, select
from workers.tools.documents.writer import MarkdownWriter
from workers.tools.sources import LocalSource
from workers.units import count_of

FIRST_PAGES = 50
MAX_NOTES = 20


@dataclass(frozen=True, slots=True)
class Request:
    """What the caller wants of the document; the fields are those of the tool."""

    pages: str | None = None
    page_markers: bool = False
    confirm_above_pages: int = 300
    base_url: str | None = None


@dataclass(slots=True)
class Conversion:
    """What became of a document. unit: what its parts are called; converted of `count` were converted."""

    kind: Kind
    unit: str
    count: int
    converted: int
    title: str
    writer: MarkdownWriter
    warnings: list[str]


@dataclass(slots=True)
class _Findings:
    """What is worth telling about the parts, gathered on the way."""

    scanned: list[int] = field(default_factory=list[int])
    unmapped: list[int] = field(default_factory=list[int])
    notes: list[str] = field(default_factory=list[str])

    def add(self, number: int, part: Part) -> None:
        if part.get("trouble") == "scanned":
            self.scanned.append(number)
        if part.get("trouble") == "unmapped":
            self.unmapped.append(number)
        self.notes += part.get("notes", [])


def convert(ctx: SyncTaskContext, source: LocalSource, request: Request, out: Path) -> Conversion:
    """Write the document's Markdown to `out`.

    Reports every part as progress; what is expensive is remembered in batches, so that a retry goes on behind
    the last one. Raises DocumentRefused when nothing can be made of the file, ToolError when the request does
    not fit it or the caller no longer wants it.
    """
    with parsing(source.name):
        detected = detect(source.path, source.name, source.media_type)
        document = open_document(detected.kind, source, request.base_url)
    try:
        numbers = _choose(ctx, document, request, source.name)
        findings = _Findings()
        unit = document.unit if request.page_markers else None
        with out.open("w", encoding="utf-8") as file, MarkdownWriter(file, unit) as writer:
            for number, part in _convert(ctx, document, numbers, source):
                writer.add(number, part)
                findings.add(number, part)
        _refuse_if_empty(writer, findings, numbers, document, source.name)
        warnings = [detected.warning] if detected.warning else []
        warnings += [*document.warnings, *_told(findings, numbers, document)]
        return Conversion(
            kind=detected.kind,
            unit=document.unit,
            count=document.count,
            converted=len(numbers),
            title=document.title or _first_heading(writer) or Path(source.name).stem,
            writer=writer,
            warnings=list(dict.fromkeys(warnings))[:MAX_NOTES],
        )
    finally:
        document.close()


def _choose(ctx: SyncTaskContext, document: Document, request: Request, name: str) -> list[int]:
    """The numbers of the parts to convert."""
    count, unit = document.count, document.unit
    if request.pages is not None:
        if unit == "part":
            raise ToolError(f"pages: {name} is not divided into pages. Call again without `pages`.")
        return select(request.pages, count, unit)
    if count <= request.confirm_above_pages:
        return list(range(1, count + 1))
    return list(range(1, _ask_how_many(ctx, name, count, unit) + 1))


def _ask_how_many(ctx: SyncTaskContext, name: str, count: int, unit: str) -> int:
    """How many parts from the first on; all of them, if the client cannot put questions to anybody."""
    some = min(FIRST_PAGES, (count + 1) // 2)
    choices = {"all": f"All {count:,} {unit}s", "first": f"Only the first {unit}s", "none": "Nothing"}
    form = {
        "type": "object",
        "properties": {
            "convert": {
                "type": "string",
                "title": "What to convert",
                "oneOf": [{"const": value, "title": title} for value, title in choices.items()],
                "default": "all",
            },
            "first": {
                "type": "integer",
                "title": f"How many {unit}s",
                "description": f"Counts only with the choice of the first {unit}s.",
                "minimum": 1,
                "maximum": count,
                "default": some,
            },
        },
        "required": ["convert"],
    }
    message = f"{name} has {count_of(count, unit)}. Convert all of them, only the first ones, or nothing?"
    try:
        answer = ctx.ask(message, form, key="how-many")
        if answer["convert"] == "none":
            raise ToolError(
                f"Nothing was converted, as was chosen. To convert a part of {name}, give `pages`."
            )
        return int(answer.get("first", some)) if answer["convert"] == "first" else count
    except RpcError:
        return count
    except Declined as declined:
        raise ToolError(
            f"Nothing was converted: the question how much of {name} to convert was not answered. Call again with "
            f"`pages`, for example 1-{FIRST_PAGES}."
        ) from declined


def _convert(
    ctx: SyncTaskContext, document: Document, numbers: Sequence[int], source: LocalSource
) -> Iterator[tuple[int, Part]]:
    total, unit = len(numbers), document.unit
    ctx.progress(0, total, f"opened {source.name}")

    def convert_batch(first: int, batch: Sequence[int]) -> list[Part]:
        parts: list[Part] = []
        for done, part in enumerate(_parsed(document, batch, source.name), start=first + 1):
            parts.append(part)
            ctx.progress(
                done, total, f"{unit} {numbers[done - 1]} of {document.count}" if total > 1 else "converted"
            )
        return parts

    size = document.batch or 1
    for first in range(0, total, size):
        batch = numbers[first : first + size]
        if document.batch:
            # Named by content and range: another file under the same name, or another choice, is another step.
            step = f"{source.sha256[:16]} {unit} {in_words(list(batch))}"
            parts = ctx.step(step, convert_batch, first, batch)
        else:
            parts = convert_batch(first, batch)
        yield from zip(batch, parts, strict=True)


def _parsed(document: Document, numbers: Sequence[int], name: str) -> Iterator[Part]:
    parts = document.parts(numbers)
    while True:
        with parsing(name):
            part = next(parts, None)
        if part is None:
            return
        yield part


def _refuse_if_empty(
    writer: MarkdownWriter, findings: _Findings, numbers: Sequence[int], document: Document, name: str
) -> None:
    if writer.words:
        return
    if findings.scanned:
        some = f"{len(findings.scanned)} of {len(numbers)}" if len(findings.scanned) < len(numbers) else "All"
        raise DocumentRefused(
            f"{name} is a scan: {some} {document.unit}s are pictures, and there is no text layer to convert. Text in "
            "pictures is not recognised here; run the file through OCR first and send the result."
        )
    raise DocumentRefused(f"{name} contains no text: there is nothing to convert.")


def _told(findings: _Findings, numbers: Sequence[int], document: Document) -> list[str]:
    warnings = list(findings.notes)
    if findings.scanned:
        warnings.append(
            f"{len(findings.scanned)} of {len(numbers)} {document.unit}s are pictures without a text layer and were "
            f"left out: {in_words(findings.scanned)}. Run the file through OCR to have them converted."
        )
    if findings.unmapped:
        warnings.append(
            f"The fonts on {document.unit} {in_words(findings.unmapped)} do not tell which letters they draw, so "
            "the text there may be wrong. Run the file through OCR, or export it again."
        )
    return warnings


def _first_heading(writer: MarkdownWriter) -> str | None:
    return next((text for level, text in writer.headings if level == 1), None)
