"""The tool `convert_document`. Importing this loads no parser: workers that only publish it need none."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from tasks_server.settings import Settings
from workers import Artifact, Reply, SyncTaskContext, tool
from workers.tools.sources import SourcePolicy, open_source
from workers.units import count_of


class Heading(BaseModel):
    """level: 1 to 6."""

    level: int
    text: str


class Converted(BaseModel):
    """A converted document. The whole Markdown is the artifact; the preview is how it begins."""

    title: str = Field(description="From the document, or else its file name.")
    format: str = Field(
        description="What the file was: pdf, docx, pptx, xlsx, html, epub, markdown, csv or text."
    )
    pages: int = Field(description="How many pages (slides, sheets, chapters) were converted.")
    total_pages: int = Field(description="How many the document has; 1 where the format has no pages.")
    unit: str = Field(description="What a page is called: page, slide, sheet, chapter or part.")
    characters: int = Field(description="Of the Markdown.")
    words: int
    headings: list[Heading] = Field(description="The outline, at most 200 headings.")
    warnings: list[str] = Field(description="What was left out or is doubtful, in sentences.")
    preview: str = Field(description="The first 2,000 characters of the Markdown.")
    markdown: Artifact = Field(description="The whole Markdown: read it under its uri.")


Source = Annotated[
    str,
    Field(
        min_length=1,
        description="What to convert: a file path under the server's file roots, a data: URI with the content, or "
        "an https: URL if the server fetches those.",
    ),
]
Pages = Annotated[
    str | None,
    Field(
        description="Which pages (slides, sheets, chapters) to convert, such as '1-5,8' or '20-'. All when left out."
    ),
]
PageMarkers = Annotated[
    bool,
    Field(
        description="Put a comment like <!-- page 3 --> before each page, so that passages can be cited by page."
    ),
]
ConfirmAbovePages = Annotated[
    int,
    Field(
        ge=0,
        description="Ask how much is wanted before converting a document of more pages than this, unless `pages` "
        "says it already. Without somebody to ask, everything is converted.",
    ),
]


@tool(
    title="Convert a document to Markdown",
    timeout="30m",
    retries=4,
    runs_in="process",
    memory="1GiB",
    annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": True},
)
def convert_document(
    ctx: SyncTaskContext,
    source: Source,
    pages: Pages = None,
    page_markers: PageMarkers = False,
    confirm_above_pages: ConfirmAbovePages = 300,
) -> Reply[Converted]:
    """Convert a PDF, DOCX, PPTX, XLSX, HTML, EPUB, CSV or text file to Markdown.

    Headings, lists, tables, links, emphasis and code survive where the format has them. Returns a summary with
    the outline, a preview and a link to the whole Markdown. Scanned pages have no text and are reported, not
    recognised.
    """
    # The parsers weigh tens of megabytes; only the subprocess that converts loads them.
    from workers.tools.documents.conversion import Request, convert

    request = Request(
        pages=pages,
        page_markers=page_markers,
        confirm_above_pages=confirm_above_pages,
        base_url=source if source.lower().startswith("https:") else None,
    )
    with (
        open_source(source, SourcePolicy.from_settings(Settings.read())) as local,
        tempfile.TemporaryDirectory() as work,
    ):
        out = Path(work) / "document.md"
        done = convert(ctx, local, request, out)
        artifact = ctx.artifact(f"{Path(local.name).stem or 'document'}.md", out, "text/markdown")
    converted = Converted(
        title=done.title,
        format=done.kind.value,
        pages=done.converted,
        total_pages=done.count,
        unit=done.unit,
        characters=done.writer.characters,
        words=done.writer.words,
        headings=[Heading(level=level, text=text) for level, text in done.writer.headings],
        warnings=done.warnings,
        preview=done.writer.preview,
        markdown=artifact,
    )
    return Reply(converted, _summary(converted, local.name), artifact)


def _summary(converted: Converted, name: str) -> str:
    """What a model reads that does not look at structured content."""
    pages = (
        f"{converted.pages:,} of {count_of(converted.total_pages, converted.unit)}, "
        if converted.unit != "part"
        else ""
    )
    lines = [
        f"Converted {name} ({converted.format}): {pages}{count_of(converted.words, 'word')}. The whole Markdown is the "
        f"resource {converted.markdown.uri}.",
        *(f"Note: {warning}" for warning in converted.warnings),
        "All of it:" if converted.characters <= len(converted.preview) else "It begins:",
    ]
    return "\n".join(lines) + f"\n\n{converted.preview}"
