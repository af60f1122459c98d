"""Files whose names start with a dot are not open to tools, unless the operator names their directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.tools.refusal import SourceRefused
from workers.tools.sources import SourcePolicy, open_source


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".env").write_text("KEY=secret")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("secret")
    (tmp_path / "innocent.txt").symlink_to(tmp_path / ".env")
    (tmp_path / "report.txt").write_text("open")
    return tmp_path


@pytest.mark.parametrize("name", [".env", ".git/config", "innocent.txt", "./.git/../.env", ".not-there"])
def test_hidden_files_are_refused_whether_or_not_they_exist(project: Path, name: str):
    policy = SourcePolicy(file_roots=(project,))
    for path in (name, str(project / name)):
        with pytest.raises(SourceRefused, match="is hidden"), open_source(path, policy):
            pass


def test_a_hidden_directory_that_the_operator_names_is_open(project: Path):
    with open_source("config", SourcePolicy(file_roots=(project / ".git",))) as source:
        assert source.path.read_text() == "secret"


def test_other_files_are_open(project: Path):
    with open_source("report.txt", SourcePolicy(file_roots=(project,))) as source:
        assert source.path.read_text() == "open"
