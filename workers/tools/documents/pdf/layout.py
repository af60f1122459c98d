"""A page's words to its Markdown: tables out first, then columns, then the blocks of each column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workers.tools.documents import markdown
from workers.tools.documents.parts import Part
from workers.tools.documents.pdf.blocks import Block, cell_segments, render_rows, to_blocks
from workers.tools.documents.pdf.columns import reading_order
from workers.tools.documents.pdf.lines import Segment, to_lines, to_segments
from workers.tools.documents.pdf.page import PageContent, Word
from workers.tools.documents.pdf.ruled import RuledTable, find_tables
from workers.tools.documents.pdf.survey import Survey

PLACEHOLDER = "\0"


def lay_out(page: PageContent, survey: Survey, index: int) -> Part:
    """The Markdown of a page whose running lines are gone already."""
    tables, words = find_tables(page.rules, page.words)
    stand_ins = [_stand_in(table, number, survey.body_size) for number, table in enumerate(tables)]
    blocks = [
        block
        for region in reading_order([*to_segments(words), *stand_ins], survey.gutter)
        for block in _region(region, tables, survey, index)
    ]
    text = ""
    for above, block in zip([None, *blocks], blocks, strict=False):
        if above is not None and above.open_end and block.starts_inside:
            text = markdown.join_paragraph(text, block.text)
        else:
            text += _between(above, block) + block.text
    return Part(
        markdown=text,
        joins=bool(blocks) and blocks[0].starts_inside,
        continues=bool(blocks) and blocks[-1].open_end,
    )


def _between(above: Block | None, block: Block) -> str:
    if above is None:
        return ""
    return "\n" if above.is_item and block.is_item else "\n\n"


def _stand_in(table: RuledTable, number: int, size: float) -> Segment:
    """Takes the table's place while the reading order is found."""
    word = Word(
        f"{PLACEHOLDER}{number}", table.x0, table.top, table.x1, table.bottom, table.top + size, size
    )  # fmt: skip
    return Segment([word])


def _region(
    region: Sequence[Segment], tables: Sequence[RuledTable], survey: Survey, index: int
) -> Iterator[Block]:
    places = sorted((s for s in region if s.text.startswith(PLACEHOLDER)), key=lambda s: s.top)
    lines = to_lines([segment for segment in region if not segment.text.startswith(PLACEHOLDER)])
    for place in places:
        yield from to_blocks([line for line in lines if line.baseline <= place.top + 1], survey, index)
        lines = [line for line in lines if line.baseline > place.top + 1]
        table = tables[int(place.text[1:])]
        rows = [[cell_segments(cell) for cell in row] for row in table.rows]
        yield Block(markdown.table(render_rows(rows, survey.compounds)))
    yield from to_blocks(lines, survey, index)
