"""Both tools as a worker runs them: declared, in a process of their own, over a port."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image

from tasks_server.task import Method
from tests.support.waiting import wait_until
from tests.unit.workers.recording_port import RecordingPort
from workers.execution import Work, perform
from workers.registry import Registry

MODULE = "workers.tools.datasets"
SALES = "city,amount\nRome,1.5\nParis,2.5\nRome,3.0\nbroken\n"


@pytest.fixture
def sales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TASKS_FILE_ROOTS", json.dumps([str(tmp_path)]))
    path = tmp_path / "sales.csv"
    path.write_text(SALES)
    return str(path)


async def call(tool: str, port: RecordingPort, **arguments: Any) -> dict[str, Any]:
    work = Work(Method.CALL_TOOL, tool, arguments, "task-1", 1, {})
    return await perform(work, Registry.load([MODULE]), port)


def test_declaring_the_tools_loads_no_engine() -> None:
    heavy = "duckdb, PIL, python_calamine, charset_normalizer, mcp_types"
    program = f"import sys, {MODULE}; print([m for m in '{heavy}'.split(', ') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_tools_say_what_they_take_and_give() -> None:
    offers = {offer.name: offer for offer in Registry.load([MODULE]).manifest().tools}
    assert set(offers) == {"profile_dataset", "query_dataset"}
    query = offers["query_dataset"]
    assert query.input_schema["required"] == ["source", "sql"]
    assert query.input_schema["properties"]["result_format"]["enum"] == ["parquet", "csv"]
    assert query.annotations is not None
    assert query.annotations["readOnlyHint"] is True
    assert offers["profile_dataset"].output_schema is not None


async def test_a_profile_comes_as_structure_text_image_and_files(sales: str) -> None:
    port = RecordingPort()
    result = await call("profile_dataset", port, source=sales)
    assert result["isError"] is False, result
    found = result["structuredContent"]
    assert (found["rows"], found["columns"], found["rejected_rows"]["count"]) == (3, 2, 1)
    assert [column["name"] for column in found["column_profiles"]] == ["city", "amount"]
    text, image, *links = result["content"]
    assert text["text"].startswith("**sales.csv** (csv): 3 rows, 2 columns.")
    assert image["mimeType"] == "image/png"
    with Image.open(io.BytesIO(base64.b64decode(image["data"]))) as inline:
        assert inline.format == "PNG"
    assert [link["name"] for link in links] == ["sales-profile.png", "sales-profile.json"]
    assert json.loads(port.files["sales-profile.json"])["column_profiles"] == found["column_profiles"]
    with Image.open(io.BytesIO(port.files["sales-profile.png"])) as whole:
        assert whole.width == 2 * inline.width
    assert [(done, total) for done, total, _ in port.progress if total] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert port.progress[-2][2] == "Drawing the chart"


async def test_a_query_comes_as_structure_text_and_a_file(sales: str, tmp_path: Path) -> None:
    port = RecordingPort()
    sql = "SELECT city, sum(amount) AS total FROM data GROUP BY city ORDER BY total DESC"
    result = await call("query_dataset", port, source=sales, sql=sql)
    assert result["isError"] is False, result
    found = result["structuredContent"]
    assert found["rows"] == [["Rome", 4.5], ["Paris", 2.5]]
    assert (found["row_count"], found["truncated"], found["rejected_rows"]["count"]) == (2, False, 1)
    assert "| Rome | 4.5 |" in result["content"][0]["text"]
    assert result["content"][1]["name"] == "sales-result.parquet"
    written = tmp_path / "back.parquet"
    written.write_bytes(port.files["sales-result.parquet"])
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT * FROM '{written}'").fetchall() == [("Rome", 4.5), ("Paris", 2.5)]
    assert port.progress[-1] == (100, 100, "Done")


async def test_a_data_uri_needs_no_file(sales: str) -> None:
    port = RecordingPort()
    source = "data:application/json;base64," + base64.b64encode(b'[{"a": 1}, {"a": 2}]').decode()
    result = await call(
        "query_dataset", port, source=source, sql="SELECT sum(a) FROM data", result_format="csv"
    )
    assert result["structuredContent"]["rows"] == [[3]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sql": "SELECT citi FROM data"}, 'Candidate bindings: "city"'),
        ({"sql": "SELECT string_agg(repeat('x', 1000000)) FROM range(3000)"}, "of memory and 8 GiB of disk"),
        ({"sql": "SELECT 1", "preview_rows": 100_000}, "preview_rows"),
    ],
)
async def test_what_goes_wrong_is_said_to_the_model(sales: str, arguments: dict[str, Any], says: str) -> None:
    result = await call("query_dataset", RecordingPort(), **{"source": sales, **arguments})
    assert result["isError"] is True
    assert says in result["content"][0]["text"]


async def test_cancelling_the_task_stops_the_engine_and_its_process(sales: str) -> None:
    port = RecordingPort()
    sql = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range % 7 = 3"
    running = asyncio.create_task(call("query_dataset", port, source=sales, sql=sql))
    await wait_until(
        lambda: any(done > 30 for done, *_ in port.progress) or running.done(),
        20,
        describing="the engine's progress",
    )
    assert not running.done(), running.result()
    began = asyncio.get_running_loop().time()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.get_running_loop().time() - began < 4, (
        "the engine was not interrupted, the process was killed"
    )
