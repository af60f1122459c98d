from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from tasks_server.task import Method
from tests.unit.tools.documents import samples
from tests.unit.tools.documents.conftest import Convert
from tests.unit.workers.recording_port import RecordingPort
from workers.execution import Work, perform
from workers.registry import Registry


async def test_every_page_is_reported(room: Path, convert: Convert) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(12))
    port = (await convert("report.pdf")).port
    assert port.progress[0] == (0, 12, "opened report.pdf")
    assert port.progress[1:] == [(n, 12, f"page {n} of 12") for n in range(1, 13)]


async def test_a_retry_goes_on_behind_the_last_batch(room: Path, convert: Convert) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(12))
    port = RecordingPort()
    whole = await convert("report.pdf", port)
    first, second = port.steps
    assert first.endswith("page 1-10")

    again = RecordingPort()
    again.steps = {first: port.steps[first]}
    resumed = await convert("report.pdf", again)
    assert resumed.markdown == whole.markdown
    assert [done for done, _, _ in again.progress] == [0, 11, 12], "remembered pages are not converted again"
    assert second in again.steps


async def test_a_file_that_changed_since_is_converted_anew(room: Path, convert: Convert) -> None:
    samples.slides(room / "talk.pptx", 3)
    port = RecordingPort()
    await convert("talk.pptx", port)
    samples.slides(room / "talk.pptx", 4)
    assert (await convert("talk.pptx", port)).converted["pages"] == 4


async def test_the_result_links_the_whole_and_shows_how_it_begins(room: Path, convert: Convert) -> None:
    (room / "long.txt").write_text("lamp " * 2000)
    done = await convert("long.txt")
    assert done.converted["preview"] == done.markdown[:2000]
    assert (done.converted["characters"], done.converted["words"]) == (len(done.markdown), 2000)
    link = next(block for block in done.result["content"] if block["type"] == "resource_link")
    assert (link["name"], link["mimeType"]) == ("long.md", "text/markdown")
    assert link["uri"] in done.text


async def test_it_runs_in_a_process_with_limited_memory(room: Path) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(2))
    registry = Registry.load(["workers.tools.documents"])
    assert registry.tool("convert_document").memory_bytes == 1024**3
    port = RecordingPort()
    work = Work(Method.CALL_TOOL, "convert_document", {"source": "report.pdf"}, "task", 1)
    result = await perform(work, registry, port)
    assert result["structuredContent"]["pages"] == 2
    assert port.files["report.md"].startswith(b"# Chapter 1\n")


async def test_cancelling_stops_the_conversion(room: Path, convert: Convert) -> None:
    samples.pdf(room / "report.pdf", samples.chapters(12))
    reached = asyncio.Event()

    class Gated(RecordingPort):
        async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
            await super().report_progress(progress, total, message)
            if progress == 3:
                reached.set()
                await asyncio.Event().wait()

    port = Gated()
    run = asyncio.ensure_future(convert("report.pdf", port))
    await reached.wait()
    run.cancel()
    await asyncio.wait({run})
    assert run.cancelled()
    assert max(done for done, _, _ in port.progress) == 3
    assert not port.files


def test_declaring_the_tool_loads_no_parser() -> None:
    parsers = (
        "{'pypdfium2', 'bs4', 'lxml', 'mammoth', 'pptx', 'openpyxl', 'charset_normalizer', 'markdownify'}"
    )
    code = f"import sys, workers.tools.documents; sys.exit(str({parsers} & set(sys.modules) or '') or None)"
    subprocess.run([sys.executable, "-c", code], check=True)
