from __future__ import annotations

from pathlib import Path

from tests.unit.tools.documents import samples
from tests.unit.tools.documents.conftest import Convert


async def test_a_report_keeps_its_headings_emphasis_links_lists_code_and_tables(
    room: Path, convert: Convert
) -> None:
    samples.pdf(room / "report.pdf", samples.rich_story())
    done = await convert("report.pdf")
    for expected in (
        "# Annual Report\n",
        "## 1. Ships\n",
        "With **bold words**, *italic ones*, `code_word()` and [a link](https://example.org/a).",
        f"- First item. {samples.LAMP}\n- Second item\n  - Nested item\n",
        "1. Step one\n2. Step two\n",
        "```\ndef keep(lamp):\n    if lamp:\n        return 1\n\n    return 2\n```",
        "| Port | Ships | Tonnage |\n| --- | --- | --- |\n| Hamburg | 1,204 | 55,000 |\n"
        "| Bremen | A cell whose text is so long that it wraps | 12,000 |\n| Total |  | 67,000 |\n",
        "| Name | Role | Since |\n| --- | --- | --- |\n| Anna Berg | Keeper | 1999 |\n"
        "| Otto Klein | Second keeper | 2004 |",
    ):
        assert expected in done.markdown
    assert f"\n\n{samples.LAMP}\n\n" in done.markdown, "lines of a paragraph are joined"
    assert done.converted["title"] == "Annual Report"
    assert [heading["text"] for heading in done.converted["headings"]] == ["Annual Report", "1. Ships"]
    assert not done.converted["warnings"]


async def test_two_columns_are_read_one_after_the_other(room: Path, convert: Convert) -> None:
    samples.two_column_pdf(room / "paper.pdf")
    text = (await convert("paper.pdf")).markdown.replace("\n\n", " ")
    places = [text.index(f"Piece {number} begins here.") for number in range(1, 11)]
    assert places == sorted(places)
    assert text.count(f"begins here. {samples.LAMP} {samples.LAMP}") == 10, (
        "no piece is cut by the other column"
    )


async def test_running_headers_and_page_numbers_are_left_out(room: Path, convert: Convert) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(4), running=True)
    text = (await convert("report.pdf")).markdown
    assert "Harbour Authority" not in text
    assert "Page 2" not in text
    assert text.count("# Chapter") == 4


async def test_a_counting_footer_is_left_out_although_its_text_changes(room: Path, convert: Convert) -> None:
    pages = [
        [(72, 800.0, f"About {name} {n}"), (72, 500, f"Body of {name}.")] for n, name in enumerate("abcde", 7)
    ]
    samples.drawn_pdf(room / "book.pdf", *pages)
    text = (await convert("book.pdf")).markdown
    assert "About" not in text
    assert "Body of c." in text


async def test_a_line_that_returns_in_the_middle_of_pages_stays(room: Path, convert: Convert) -> None:
    samples.drawn_pdf(room / "forms.pdf", *[[(72.0, 500.0, "I agree to the terms.")]] * 4)
    assert (await convert("forms.pdf")).markdown.count("I agree to the terms.") == 4


async def test_a_word_divided_at_the_end_of_a_line_becomes_whole(room: Path, convert: Convert) -> None:
    lines = [
        "A lighthouse needs an atten-",
        "tive keeper and a well-",
        "known lamp; every well-known lamp is trimmed.",
    ]
    samples.drawn_pdf(room / "words.pdf", [(72, 700 - 14 * n, line) for n, line in enumerate(lines)])
    text = (await convert("words.pdf")).markdown
    assert (
        text
        == "A lighthouse needs an attentive keeper and a well-known lamp; every well-known lamp is trimmed.\n"
    )


async def test_a_sentence_goes_on_over_the_page_break(room: Path, convert: Convert) -> None:
    first = [(72.0, 500.0 - 14 * n, f"line {n} of a long sentence that fills the page,") for n in range(3)]
    second = [(72.0, 700.0, "and goes on with what the keeper said on the next page.")]
    samples.drawn_pdf(room / "novel.pdf", first, second)
    assert "fills the page, and goes on with" in (await convert("novel.pdf")).markdown
    marked = (await convert("novel.pdf", page_markers=True)).markdown
    assert "fills the page,\n\n<!-- page 2 -->\n\nand goes on" in marked


async def test_the_lines_of_an_address_stay_lines(room: Path, convert: Convert) -> None:
    address = [(72.0, 700.0, "Acme Lamps Ltd"), (72.0, 686.0, "Hamburg"), (72.0, 672.0, "Germany")]
    prose = [
        (72.0, 640.0 - 14 * n, f"Prose line number {n} which is as long as lines of prose are")
        for n in range(4)
    ]
    samples.drawn_pdf(room / "letter.pdf", [*address, *prose])
    assert "Acme Lamps Ltd\\\nHamburg\\\nGermany\n\n" in (await convert("letter.pdf")).markdown


async def test_signs_of_markdown_in_the_text_are_escaped(room: Path, convert: Convert) -> None:
    samples.drawn_pdf(room / "signs.pdf", [(72, 700, "# 5 * 3 is _not_ <b> markup [x](y)")])
    assert (await convert("signs.pdf")).markdown == "\\# 5 \\* 3 is \\_not\\_ \\<b> markup [x\\](y)\n"


async def test_a_page_that_is_rotated_reads_upright(room: Path, convert: Convert) -> None:
    lines = [(72.0, 700.0 - 14 * n, f"Line {n} of a page that stands on its side") for n in range(3)]
    samples.drawn_pdf(room / "turned.pdf", lines, rotation=90)
    assert "Line 0 of a page that stands on its side Line 1" in (
        await convert("turned.pdf")
    ).markdown.replace("\\\n", " ")


async def test_what_was_filled_into_a_form_is_text(room: Path, convert: Convert) -> None:
    samples.form_pdf(room / "form.pdf")
    assert "Esmeralda" in (await convert("form.pdf")).markdown


async def test_pages_that_are_scanned_are_left_out_and_named(room: Path, convert: Convert) -> None:
    samples.scanned_pdf(
        room / "mixed.pdf", "Text of the first page", None, None, "Text of the last page", None
    )
    done = await convert("mixed.pdf")
    assert "Text of the last page" in done.markdown
    assert "3 of 5 pages are pictures without a text layer and were left out: 2-3, 5." in done.warnings


async def test_a_scan_is_refused_with_the_number_of_its_pages(room: Path, convert: Convert) -> None:
    samples.scanned_pdf(room / "scan.pdf", None, None)
    assert "scan.pdf is a scan: All pages are pictures" in (await convert("scan.pdf")).error


async def test_an_encrypted_pdf_is_refused_without_asking_for_the_password(
    room: Path, convert: Convert
) -> None:
    samples.encrypted_pdf(room / "secret.pdf")
    done = await convert("secret.pdf")
    assert "encrypted" in done.error
    assert "save or print it to a PDF without one" in done.error
    assert not done.port.questions


async def test_a_damaged_pdf_is_refused(room: Path, convert: Convert) -> None:
    whole = samples.pdf(room / "whole.pdf", samples.chapters(1)).read_bytes()
    (room / "broken.pdf").write_bytes(whole[:300])
    assert "The PDF is damaged" in (await convert("broken.pdf")).error


async def test_a_pdf_without_text_or_pictures_is_refused_as_empty(room: Path, convert: Convert) -> None:
    samples.drawn_pdf(room / "blank.pdf", [])
    assert "blank.pdf contains no text" in (await convert("blank.pdf")).error


async def test_a_line_of_nothing_but_bullets_is_no_trouble(room: Path, convert: Convert) -> None:
    samples.drawn_pdf(
        room / "bullets.pdf", [(72, 700, "\u2022"), (80, 700, "\u2022"), (72, 650, "Text under the bullets")]
    )
    assert "Text under the bullets" in (await convert("bullets.pdf")).markdown
