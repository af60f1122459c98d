"""Documents made by the libraries that people make documents with."""

# These libraries carry no types, or partial ones:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false, reportMissingModuleSource=false

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docx
import openpyxl
import xlsxwriter
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from PIL import Image
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches
from reportlab.lib import colors, pdfencrypt
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    ListFlowable,
    ListItem,
    PageBreak,
    PageTemplate,
    Paragraph,
    Preformatted,
    SimpleDocTemplate,
    Spacer,
    Table,
)

STYLES: Any = getSampleStyleSheet()
BODY = STYLES["BodyText"]
JUSTIFIED = ParagraphStyle("justified", parent=BODY, alignment=TA_JUSTIFY)
LAMP = (
    "The keepers of the light wrote down the wind every morning, because a lamp that nobody trims is no help to "
    "a ship. In the winter of the great storms they counted four hundred vessels, of which three hundred and "
    "ninety reached the harbour before night."
)


def paragraph(text: str, style: str = "BodyText") -> Flowable:
    return Paragraph(text, STYLES[style])


def pdf(path: Path, story: Sequence[Flowable], *, running: bool = False, encrypt: Any = None) -> Path:
    """A PDF of flowing text; running puts a header and a page number on every page."""

    def decorate(canvas: Canvas, document: Any) -> None:
        if running:
            canvas.setFont("Helvetica", 8)
            canvas.drawString(72, 800, "Harbour Authority, annual report")
            canvas.drawRightString(520, 40, f"Page {document.page}")

    document = SimpleDocTemplate(str(path), pagesize=A4, title="Annual Report", encrypt=encrypt)
    document.build(list(story), onFirstPage=decorate, onLaterPages=decorate)
    return path


def chapters(count: int) -> list[Flowable]:
    """One page each, with a heading."""
    story: list[Flowable] = []
    for number in range(1, count + 1):
        story += [paragraph(f"Chapter {number}", "Heading1"), Paragraph(f"Text {number}. {LAMP}", JUSTIFIED)]
        story.append(PageBreak())
    return story


def rich_story() -> list[Flowable]:
    """Everything that a report has on a page."""
    items: list[Any] = [
        ListItem(paragraph(f"First item. {LAMP}")),
        ListItem(paragraph("Second item")),
        ListFlowable([paragraph("Nested item")], bulletType="bullet"),
    ]
    return [
        paragraph("Annual Report", "Title"),
        paragraph("1. Ships", "Heading2"),
        Paragraph(LAMP, JUSTIFIED),
        paragraph(
            'With <b>bold words</b>, <i>italic ones</i>, <font face="Courier">code_word()</font> and '
            '<a href="https://example.org/a">a link</a>.'
        ),
        ListFlowable(items, bulletType="bullet"),
        ListFlowable([paragraph("Step one"), paragraph("Step two")], bulletType="1"),
        Preformatted("def keep(lamp):\n    if lamp:\n        return 1\n\n    return 2", STYLES["Code"]),
        paragraph("A ruled table:"),
        Table(
            [
                ["Port", "Ships", "Tonnage"],
                ["Hamburg", "1,204", "55,000"],
                ["Bremen", paragraph("A cell whose text is so long that it wraps"), "12,000"],
                ["Total", "", "67,000"],
            ],
            colWidths=[100, 120, 80],
            style=[("GRID", (0, 0), (-1, -1), 0.5, colors.black), ("SPAN", (0, 3), (1, 3))],
        ),
        Spacer(1, 12),
        paragraph("A table without rules:"),
        Table(
            [
                ["Name", "Role", "Since"],
                ["Anna Berg", "Keeper", "1999"],
                ["Otto Klein", "Second keeper", "2004"],
            ],
            colWidths=[120, 120, 60],
        ),
    ]


def two_column_pdf(path: Path) -> Path:
    """A title across the page, then two columns."""
    frames = [Frame(60, 640, 475, 150), Frame(60, 60, 228, 570), Frame(307, 60, 228, 570)]
    document = BaseDocTemplate(str(path), pagesize=A4)
    document.addPageTemplates([PageTemplate("columns", frames)])
    story: list[Flowable] = [paragraph("Lamps of the North", "Title"), paragraph(LAMP), FrameBreak()]
    story += [Paragraph(f"Piece {number} begins here. {LAMP} {LAMP}", JUSTIFIED) for number in range(1, 11)]
    document.build(story)
    return path


def drawn_pdf(
    path: Path, *pages: Sequence[tuple[float, float, str]], rotation: int = 0, size: float = 11
) -> Path:
    """Text at given places (points from the lower left), a page for each sequence."""
    canvas = Canvas(str(path), pagesize=A4)
    for page in pages:
        canvas.setFont("Helvetica", size)
        canvas.setPageRotation(rotation)
        for x, y, text in page:
            canvas.drawString(x, y, text)
        canvas.showPage()
    canvas.save()
    return path


def scanned_pdf(path: Path, *texts: str | None) -> Path:
    """A picture for every None, a page of text for every other."""
    picture = io.BytesIO()
    Image.new("L", (600, 800), 200).save(picture, "PNG")
    canvas = Canvas(str(path), pagesize=A4)
    for text in texts:
        if text is None:
            canvas.drawImage(ImageReader(picture), 0, 0, 595, 842)
        else:
            canvas.drawString(72, 700, text)
        canvas.showPage()
    canvas.save()
    return path


def form_pdf(path: Path) -> Path:
    canvas = Canvas(str(path), pagesize=A4)
    canvas.drawString(72, 700, "Name of the ship, as it is painted on the bow:")
    form: Any = canvas.acroForm
    form.textfield(name="ship", value="Esmeralda", x=72, y=650, width=200, height=20, fontSize=11)
    canvas.save()
    return path


def encrypted_pdf(path: Path) -> Path:
    return pdf(path, chapters(1), encrypt=pdfencrypt.StandardEncryption("secret", "owner"))


def word(path: Path) -> Path:
    document: Any = docx.Document()
    document.core_properties.title = "Harbour Handbook"
    document.add_heading("Harbour Handbook", 0)
    document.add_heading("Ships", 1)
    text = document.add_paragraph("Some ")
    text.add_run("bold").bold = True
    text.add_run(" and ")
    text.add_run("italic").italic = True
    text.add_run(" with * a star and ")
    _word_link(text, "https://example.org/x", "a link")
    document.add_paragraph("1. no list, only typed")
    for name, style in (("one", "List Bullet"), ("inner", "List Bullet 2"), ("first", "List Number")):
        document.add_paragraph(name, style=style)
    document.add_paragraph("Quoted words", style="Quote")
    table = document.add_table(rows=2, cols=2)
    for row, cells in enumerate((("Name", "A|B"), ("x", "y\nz"))):
        for column, value in enumerate(cells):
            table.cell(row, column).text = value
    document.save(str(path))
    return path


def _word_link(text: Any, url: str, label: str) -> None:
    link: Any = OxmlElement("w:hyperlink")
    link.set(qn("r:id"), text.part.relate_to(url, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
    run: Any = OxmlElement("w:r")
    content: Any = OxmlElement("w:t")
    content.text = label
    run.append(content)
    link.append(run)
    text._p.append(link)


def word_with_footnote(path: Path) -> Path:
    """python-docx writes no footnotes, so the part is added to its package by hand."""
    document: Any = docx.Document()
    document.add_paragraph("A claim.")
    document.save(str(path))
    with zipfile.ZipFile(path) as whole:
        members = {name: whole.read(name).decode("latin-1") for name in whole.namelist()}
    main = "xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'"
    relation = f"{RELATIONSHIP_TYPE.FOOTNOTES}' Target='footnotes.xml'/></Relationships>"
    note = "<w:p><w:r><w:t>Its source.</w:t></w:r></w:p>"
    members["word/footnotes.xml"] = (
        f"<w:footnotes {main}><w:footnote w:id='1'>{note}</w:footnote></w:footnotes>"
    )
    for name, old, new in (
        (
            "word/document.xml",
            "A claim.</w:t></w:r>",
            "A claim.</w:t></w:r><w:r><w:footnoteReference w:id='1'/></w:r>",
        ),
        ("word/_rels/document.xml.rels", "</Relationships>", f"<Relationship Id='rIdF' Type='{relation}"),
    ):
        assert old in members[name]
        members[name] = members[name].replace(old, new)
    with zipfile.ZipFile(path, "w") as changed:
        for name, content in members.items():
            changed.writestr(name, content.encode("latin-1"))
    return path


def slides(path: Path, count: int = 3) -> Path:
    """A bulleted slide with notes, one with a table and a chart, and plain ones up to `count`."""
    presentation: Any = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Points"
    frame = slide.placeholders[1].text_frame
    frame.text = "Alpha"
    nested = frame.add_paragraph()
    nested.level = 1
    run = nested.add_run()
    run.text = "Beta"
    run.font.bold = True
    run.hyperlink.address = "https://example.org"
    slide.notes_slide.notes_text_frame.text = "Remember this"
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Numbers"
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row in range(2):
        for column in range(2):
            table.cell(row, column).text = f"r{row}c{column}"
    data: Any = CategoryChartData()
    data.categories = ["Q1", "Q2"]
    data.add_series("Ships", (3, 4.5))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(4), Inches(4), Inches(2), data)
    for number in range(3, count + 1):
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = f"Slide {number} says"
    presentation.save(str(path))
    return path


def workbook(path: Path) -> Path:
    book: Any = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet("Data")
    sheet.write("A1", "Report 2025")
    sheet.write_row("A3", ["Name", "Date", "Share", "Sum"])
    sheet.write("A4", "Anna")
    sheet.write_datetime("B4", dt.datetime(2025, 3, 1), book.add_format({"num_format": "yyyy-mm-dd"}))
    sheet.write("C4", 0.125, book.add_format({"num_format": "0.0%"}))
    sheet.write_formula("D4", "=1+2", None, 3)
    sheet.write_url("A5", "https://example.org/p", string="Otto")
    sheet.write("D5", 1.1 + 2.2)
    book.add_worksheet("Notes").write("A1", "a|b")
    book.close()
    return path


def uncalculated_workbook(path: Path) -> Path:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(["a", "b"])
    sheet.append([1, "=A2*2"])
    book.save(path)
    return path


CONTAINER = (
    '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def book(path: Path, *chapters: str, extra: dict[str, str] | None = None) -> Path:
    """An EPUB whose chapters have these bodies."""
    items = "".join(
        f'<item id="c{n}" href="ch%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>My Book</dc:title></metadata><manifest>'
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        f'{items}</manifest><spine><itemref idref="nav"/>{spine}</spine></package>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/content.opf", package)
        archive.writestr("OEBPS/nav.xhtml", "<html><body>Contents</body></html>")
        for number, body in enumerate(chapters):
            archive.writestr(
                f"OEBPS/ch {number}.xhtml",
                '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>'
                f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{body}</body></html>',
            )
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return path
