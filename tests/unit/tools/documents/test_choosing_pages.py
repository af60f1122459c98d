from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks_server.errors import RpcError
from tests.unit.tools.documents import samples
from tests.unit.tools.documents.conftest import Convert
from tests.unit.workers.recording_port import RecordingPort
from workers import ToolError
from workers.tools.documents.selection import in_words, select


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ("3", [3]),
        ("1-3", [1, 2, 3]),
        ("8-", [8, 9]),
        ("-2", [1, 2]),
        (" 2 - 3, 1,2 ", [1, 2, 3]),
        ("9-40", [9]),
    ],
)
def test_a_selection_is_read_as_people_write_it(pages: str, expected: list[int]) -> None:
    assert select(pages, 9, "page") == expected


@pytest.mark.parametrize("pages", ["", "x", "1-2-3", "-", "0", "10", "3-2", "1,,2"])
def test_a_selection_that_makes_no_sense_is_refused(pages: str) -> None:
    with pytest.raises(ToolError, match=r"^pages: "):
        select(pages, 9, "page")


@pytest.mark.parametrize(
    ("pages", "count", "said"),
    [
        ("1,5-2", 40, "pages: '5-2' runs backwards; write 2-5."),
        ("50-", 40, "pages: '50-' does not fit; the document has pages 1 to 40."),
        ("50-60", 40, "pages: '50-60' does not fit; the document has pages 1 to 40."),
        ("2", 1, "pages: '2' does not fit; the document has only one page."),
    ],
)
def test_a_selection_that_does_not_fit_says_why(pages: str, count: int, said: str) -> None:
    with pytest.raises(ToolError) as raised:
        select(pages, count, "page")
    assert str(raised.value) == said


def test_numbers_are_told_as_ranges() -> None:
    assert in_words([1, 2, 3, 5, 8, 9]) == "1-3, 5, 8-9"


async def test_only_the_chosen_pages_are_converted(room: Path, convert: Convert) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(4))
    done = await convert("report.pdf", pages="2,4")
    assert [heading["text"] for heading in done.converted["headings"]] == ["Chapter 2", "Chapter 4"]
    assert (done.converted["pages"], done.converted["total_pages"]) == (2, 4)


async def test_one_page_of_one_word_is_told_in_the_singular(room: Path, convert: Convert) -> None:
    samples.drawn_pdf(room / "one.pdf", [(72, 700, "Word")])
    done = await convert("one.pdf")
    assert done.text.startswith("Converted one.pdf (pdf): 1 of 1 page, 1 word. The")


async def test_pages_of_a_document_without_pages_are_refused(room: Path, convert: Convert) -> None:
    samples.word(room / "a.docx")
    assert "is not divided into pages" in (await convert("a.docx", pages="1")).error


def answering(action: str = "accept", **content: Any) -> RecordingPort:
    return RecordingPort({"how-many": {"action": action, "content": content}})


async def test_a_long_document_is_asked_about(room: Path, convert: Convert) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(4))
    done = await convert("report.pdf", answering(convert="first", first=2), confirm_above_pages=3)
    assert done.converted["pages"] == 2
    _, question = done.port.questions["how-many"]
    assert question["message"].startswith("report.pdf has 4 pages.")
    assert question["requestedSchema"]["properties"]["first"]["maximum"] == 4


@pytest.mark.parametrize(("content", "pages"), [({"convert": "all"}, 4), ({"convert": "first"}, 2)])
async def test_an_answer_may_leave_the_number_out(
    room: Path, convert: Convert, content: dict[str, str], pages: int
) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(4))
    done = await convert("report.pdf", answering(**content), confirm_above_pages=3)
    assert done.converted["pages"] == pages


@pytest.mark.parametrize("port", [answering(convert="none"), answering("decline"), answering("cancel")])
async def test_nothing_is_converted_when_nobody_wants_it(
    room: Path, convert: Convert, port: RecordingPort
) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(4))
    done = await convert("report.pdf", port, confirm_above_pages=3)
    assert "Nothing was converted" in done.error
    assert not done.port.files


async def test_a_client_that_cannot_be_asked_gets_everything(room: Path, convert: Convert) -> None:
    class Unanswering(RecordingPort):
        async def request_input(
            self,
            key: str | None,
            method: str,
            params: dict[str, Any],
            within_ms: int | None = None,
            default: dict[str, Any] | None = None,
        ) -> dict[str, Any]:
            raise RpcError(-32021, "Missing required client capability")

    samples.pdf(room / "report.pdf", samples.chapters(4))
    done = await convert("report.pdf", Unanswering(), confirm_above_pages=3)
    assert done.converted["pages"] == 4


@pytest.mark.parametrize("arguments", [{}, {"pages": "1-4", "confirm_above_pages": 3}])
async def test_nobody_is_asked_without_need(room: Path, convert: Convert, arguments: dict[str, Any]) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(4))
    assert not (await convert("report.pdf", **arguments)).port.questions
