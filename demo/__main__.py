"""`make demo`: a real client, a real worker, a document and a dataset; the results stay in demo-results/."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from mcp import Client

from demo.calls import Calls
from demo.dataset import write_observations
from demo.document import PAGES, write_report
from demo.screen import Screen
from demo.server import ServerDidNotStart, running_server
from tasks_server.client import Options, TasksExtension, steady_http

RESULTS = Path("demo-results")
ASK_ABOVE_PAGES = 20  # the tool's own default is higher; the demo wants to be asked
DATASET_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def prepare(screen: Screen, own: Path | None) -> tuple[Path, Path]:
    """The document and the dataset: the visitor's own file where there is one, else what the demo makes."""
    RESULTS.mkdir(exist_ok=True)
    document, dataset = RESULTS / "lights.pdf", RESULTS / "observations.csv"
    if own and own.suffix.lower() in DATASET_SUFFIXES:
        dataset = own
    else:
        rows = write_observations(dataset)
        screen.line(f"made {dataset}: {rows:,} rows")
    if own and dataset is not own:
        document = own
    else:
        write_report(document)
        screen.line(f"made {document}: {PAGES} pages")
    return document.resolve(), dataset.resolve()


async def run(screen: Screen, own: Path | None) -> bool:
    """The whole demo. Returns whether every call succeeded."""
    started = time.monotonic()
    screen.title("Something to work on")
    document, dataset = prepare(screen, own)
    with tempfile.TemporaryDirectory(prefix="tasks-demo-") as data_dir:
        screen.title("tasks-server dev: server, worker, SQLite and Valkey in one command")
        starting = time.monotonic()
        async with running_server(Path(data_dir), {document.parent, dataset.parent}) as url:
            screen.line(f"{url}, ready after {time.monotonic() - starting:.1f} s")
            succeeded = await call_tools(screen, url, document, dataset)
    screen.title("Done" if succeeded else "Failed: what went wrong is above")
    results = (
        f"the results are in {RESULTS}/" if succeeded else f"results of what succeeded are in {RESULTS}/"
    )
    screen.line(f"{time.monotonic() - started:.1f} s in all; {results}; nothing is left running")
    return succeeded


async def call_tools(screen: Screen, url: str, document: Path, dataset: Path) -> bool:
    calls = Calls(screen, RESULTS)
    tasks = TasksExtension(Options(on_update=calls.observe))
    async with Client(steady_http(url), extensions=[tasks], elicitation_callback=calls.answer) as client:
        listed = await client.list_tools()
        screen.line(
            f"connected with the official client, protocol {client.protocol_version}: "
            + ", ".join(tool.name for tool in listed.tools)
        )
        screen.title(f"convert_document: {document.name} to Markdown, as a task")
        converted = await calls.call(
            client, "convert_document", {"source": str(document), "confirm_above_pages": ASK_ABOVE_PAGES}
        )
        screen.title(f"profile_dataset: {dataset.name}, with charts")
        profiled = await calls.call(client, "profile_dataset", {"source": str(dataset)})
    return converted and profiled


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a document or dataset of your own")
    own: Path | None = parser.parse_args().file
    if own and not own.is_file():
        parser.error(f"{own} is not a file")
    try:
        return 0 if asyncio.run(run(Screen(), own)) else 1
    except ServerDidNotStart as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
