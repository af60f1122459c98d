"""`.ci/check_committed.py` finds what must not be committed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[2] / ".ci" / "check_committed.py"

# Put together here, so that this file is not a finding itself.
INDEX = "https://py" + "pi.org/simple"
HOME = "/ho" + "me/somebody/project"


def check(directory: Path) -> subprocess.CompletedProcess[str]:
    subprocess.run(["git", "init", "--quiet", directory], check=True)
    return subprocess.run([sys.executable, CHECK], cwd=directory, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.md", f"Installed from {INDEX}"),
        ("run.sh", f"cd {HOME}"),
        ("requirements.lock", "anyio @ https://example.org/anyio.whl"),
        ("requirements.lock", "--find-" + "links wheels"),
        ("clients/one/requirements.lock", "# from http://example.org"),
        ("other.lock", "https://example.org"),
        ("package-lock.json", '{"resolved": "file:a.tgz"}'),
        ("suite/package-lock.json", '{"funding": {"url": "https://example.org/sponsors"}}'),
    ],
)
def test_an_address_or_a_path_of_one_machine_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content + "\n")
    result = check(tmp_path)
    assert result.returncode == 1
    assert f"{name}:1:" in result.stdout


def test_locks_of_versions_and_hashes_pass(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        "anyio==4.16.0 \\\n    --hash=sha256:00\n    # via starlette\n"
    )
    (tmp_path / "notes.md").write_text("See https://example.org and /data/artifacts.\n")
    assert check(tmp_path).returncode == 0


def test_ignored_files_are_nobody_s_business(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("local/\n")
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "notes.md").write_text(HOME)
    assert check(tmp_path).returncode == 0
