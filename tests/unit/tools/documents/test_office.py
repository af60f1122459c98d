from __future__ import annotations

from pathlib import Path

from tests.unit.tools.documents import samples
from tests.unit.tools.documents.conftest import Convert


async def test_a_word_document_keeps_what_markdown_can_say(room: Path, convert: Convert) -> None:
    samples.word(room / "handbook.docx")
    done = await convert("handbook.docx")
    assert done.markdown == (
        "# Harbour Handbook\n\n# Ships\n\n"
        "Some **bold** and *italic* with \\* a star and [a link](https://example.org/x)\n\n"
        "1\\. no list, only typed\n\n- one\n  - inner\n\n1. first\n\n> Quoted words\n\n"
        "| Name | A\\|B |\n| --- | --- |\n| x | y<br>z |\n"
    )
    assert done.converted["title"] == "Harbour Handbook"
    assert done.converted["unit"] == "part"


async def test_footnotes_follow_the_text(room: Path, convert: Convert) -> None:
    samples.word_with_footnote(room / "notes.docx")
    assert (await convert("notes.docx")).markdown == "A claim.<sup>[1]</sup>\n\n1. Its source.\n"


async def test_slides_become_sections_with_lists_tables_charts_and_notes(
    room: Path, convert: Convert
) -> None:
    samples.slides(room / "talk.pptx", 3)
    done = await convert("talk.pptx")
    assert done.markdown == (
        "## Points\n\n- Alpha\n  - [**Beta**](https://example.org)\n\n> Notes: Remember this\n\n"
        "## Numbers\n\n| r0c0 | r0c1 |\n| --- | --- |\n| r1c0 | r1c1 |\n\n"
        "|  | Ships |\n| --- | --- |\n| Q1 | 3 |\n| Q2 | 4.5 |\n\n## Slide 3 says\n"
    )
    assert (done.converted["pages"], done.converted["unit"]) == (3, "slide")


async def test_sheets_become_tables_of_what_their_cells_show(room: Path, convert: Convert) -> None:
    samples.workbook(room / "figures.xlsx")
    done = await convert("figures.xlsx")
    assert done.markdown == (
        "## Data\n\nReport 2025\n\n| Name | Date | Share | Sum |\n| --- | --- | --- | --- |\n"
        "| Anna | 2025-03-01 | 12.5% | 3 |\n| [Otto](https://example.org/p) |  |  | 3.3 |\n\n## Notes\n\na|b\n"
    )
    assert done.converted["total_pages"] == 2


async def test_a_sheet_can_be_chosen(room: Path, convert: Convert) -> None:
    samples.workbook(room / "figures.xlsx")
    assert (await convert("figures.xlsx", pages="2")).markdown == "## Notes\n\na|b\n"


async def test_formulas_that_were_never_calculated_are_shown_as_formulas(
    room: Path, convert: Convert
) -> None:
    samples.uncalculated_workbook(room / "new.xlsx")
    done = await convert("new.xlsx")
    assert "| 1 | `=A2*2` |" in done.markdown
    assert "Formulas without a stored result" in done.warnings
