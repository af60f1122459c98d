"""The console script: quick to help, and the same options wherever they lead."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from tasks_server.__main__ import parser
from tasks_server.command_line import warn_of_unknown_settings
from tasks_server.logs import JsonLines, TextLines
from tasks_server.settings import Settings

HEAVY = {"sqlalchemy", "starlette", "uvicorn", "pydantic", "redis", "alembic", "asyncio"}
LOADED_BY_HELP = """
import sys
from tasks_server.__main__ import main
sys.argv = ["tasks-server", "--help"]
try:
    main()
finally:
    print("LOADED", *sys.modules)
"""


def test_help_loads_nothing_heavy():
    run = subprocess.run(
        [sys.executable, "-c", LOADED_BY_HELP], capture_output=True, text=True, check=True, timeout=30
    )
    assert "dev" in run.stdout
    loaded = run.stdout.partition("LOADED")[2].split()
    assert HEAVY.isdisjoint(loaded)


def test_serving_loads_neither_worker_code_nor_migrations():
    script = "import sys, tasks_server.embedded.dev_server, tasks_server.serve; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert loaded.isdisjoint({"workers", "alembic"})


def test_a_pipe_is_answered_before_anything_heavy_is_loaded():
    script = "import sys, tasks_server.stdio.command; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert (HEAVY - {"asyncio"}).isdisjoint(loaded)


@pytest.mark.parametrize(
    "line", ["", "dev --concurrency 0", "serve --port many", "worker --no-such", "explode"]
)
def test_a_misspelt_command_ends_with_2(line: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as exit_:
        parser().parse_args(line.split())
    assert exit_.value.code == 2
    assert "tasks-server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "text", "reason"),
    [
        ("--port", "99999", "must be 0 (any free one) to 65535, not '99999'"),
        ("--port", "-1", "must be 0 (any free one) to 65535, not '-1'"),
        ("--port", "many", "must be 0 (any free one) to 65535, not 'many'"),
        ("--processes", "0", "must be a whole number, at least 1, not '0'"),
        ("--processes", "two", "must be a whole number, at least 1, not 'two'"),
        ("--processes", "²", "must be a whole number, at least 1, not '²'"),
    ],
)
def test_a_number_that_cannot_be_is_refused_by_the_name_of_its_option(
    option: str, text: str, reason: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        parser().parse_args(["serve", f"{option}={text}"])
    assert f"argument {option}: {reason}" in capsys.readouterr().err


def test_a_variable_that_is_no_setting_is_told_with_the_nearest_one(caplog: pytest.LogCaptureFixture):
    environment = ["TASKS_PROT", "TASKS_QQQQ", "TASKS_PORT", "tasks_host", "HOME", "MY_TASKS_X"]
    warn_of_unknown_settings(environment, Settings.model_fields)
    assert caplog.messages == [
        "TASKS_PROT is no setting and has no effect; TASKS_PORT is one",
        "TASKS_QQQQ is no setting and has no effect",
    ]


def record(message: str = "%s is back", *values: object, **extra: object) -> logging.LogRecord:
    line = logging.LogRecord("tasks_server.bus", logging.WARNING, __file__, 1, message, values, None)
    vars(line).update(extra)
    return line


def test_a_line_for_people_names_the_process():
    assert TextLines("worker").format(record("%s is back", "Redis"))[8:] == " warning worker: Redis is back"


def test_a_line_for_machines_is_one_object_with_what_the_event_carries():
    line = JsonLines("server").format(record("%s is\nback", "Redis", task_id="abc"))
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("at").endswith("Z")
    assert found == {
        "level": "warning",
        "process": "server",
        "logger": "tasks_server.bus",
        "message": "Redis is\nback",
        "task_id": "abc",
    }


def test_a_line_for_machines_holds_the_exception():
    with pytest.raises(ZeroDivisionError) as caught:
        divmod(1, 0)
    line = record("it broke")
    line.exc_info = (caught.type, caught.value, caught.tb)
    assert "ZeroDivisionError" in json.loads(JsonLines("server").format(line))["exception"]
