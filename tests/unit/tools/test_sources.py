from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

from tasks_server.settings import Settings
from workers import ToolError
from workers.tools.sources import LocalSource, SourcePolicy, SourceRefused, open_source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("inside")
    (tmp_path / "secret.txt").write_text("outside")
    return root


def read(source: str, policy: SourcePolicy) -> tuple[str, LocalSource]:
    with open_source(source, policy) as local:
        return local.path.read_text(), local


def refusal(source: str, policy: SourcePolicy) -> str:
    with pytest.raises(SourceRefused) as refused, open_source(source, policy):
        pass
    assert isinstance(refused.value, ToolError)
    return str(refused.value)


def test_the_policy_is_what_the_operator_set(tmp_path: Path) -> None:
    policy = SourcePolicy.from_settings(Settings(file_roots=(tmp_path,), max_source_bytes=7))
    assert (policy.file_roots, policy.max_source_bytes, policy.https) == ((tmp_path,), 7, None)
    assert SourcePolicy.from_settings(Settings(fetch_https=True)).https is not None


@pytest.mark.parametrize(
    "form", ["a.txt", "{root}/a.txt", "file://{root}/a.txt", "file://localhost{root}/a.txt"]
)
def test_a_file_under_a_root_can_be_named_in_every_form(root: Path, form: str) -> None:
    text, local = read(form.format(root=root), SourcePolicy((root,)))
    assert text == "inside"
    assert (local.name, local.size, local.media_type) == ("a.txt", 6, None)
    assert local.sha256 == hashlib.sha256(b"inside").hexdigest()


@pytest.mark.parametrize("name", [b"a\nb.txt", b"a\xff\x1bb.txt"])
def test_a_name_that_cannot_be_shown_is_not_shown(root: Path, name: bytes) -> None:
    (root / os.fsdecode(name)).write_text("odd")
    (root / "link.txt").symlink_to(os.fsdecode(name))
    assert read("link.txt", SourcePolicy((root,)))[1].name == "ab.txt"


def test_the_copy_is_the_callers_own_and_goes_with_the_context(root: Path) -> None:
    with open_source("a.txt", SourcePolicy((root,))) as local:
        (root / "a.txt").write_text("changed meanwhile")
        assert local.path.read_text() == "inside"
        assert local.path.suffix == ".txt"
        assert local.path.parent.stat().st_mode & 0o077 == 0, "nobody else may look"
    assert not local.path.parent.exists()


def test_a_relative_path_is_looked_up_in_every_root(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.txt").write_text("in the second")
    assert read("b.txt", SourcePolicy((root, other)))[0] == "in the second"


def test_names_with_a_colon_or_percent_sign_are_names(root: Path) -> None:
    (root / "10:30 100%.txt").write_text("odd")
    (root / "note: x.txt").write_text("odder")
    policy = SourcePolicy((root,))
    assert read("10:30 100%.txt", policy)[0] == "odd"
    assert read("note: x.txt", policy)[0] == "odder"
    assert read(f"file://{root}/10%3A30%20100%25.txt", policy)[0] == "odd"


def test_without_roots_it_says_how_to_open_some() -> None:
    assert "TASKS_FILE_ROOTS" in refusal("a.txt", SourcePolicy())


@pytest.mark.parametrize(
    "path", ["../secret.txt", "{tmp}/secret.txt", "sub/../../secret.txt", "/etc/passwd", "~"]
)
def test_paths_outside_the_roots_are_refused_whether_or_not_they_exist(
    root: Path, tmp_path: Path, path: str
) -> None:
    policy = SourcePolicy((root,))
    if path == "~":
        assert "There is no file" in refusal(path, policy), "a tilde is a name like any other"
        return
    existing = refusal(path.format(tmp=tmp_path), policy)
    assert "is outside the directories open to tools" in existing
    missing = path.format(tmp=tmp_path) + ".missing"
    assert refusal(missing, policy) == existing.replace(path.format(tmp=tmp_path), missing)


def test_a_link_that_leads_out_of_the_root_is_refused(root: Path, tmp_path: Path) -> None:
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "door").symlink_to(tmp_path)
    assert "is outside" in refusal("link.txt", SourcePolicy((root,)))
    assert "is outside" in refusal("door/secret.txt", SourcePolicy((root,)))


def test_a_link_within_the_root_and_a_linked_root_are_followed(root: Path, tmp_path: Path) -> None:
    (root / "link.txt").symlink_to("a.txt")
    (tmp_path / "linked").symlink_to(root)
    assert read("link.txt", SourcePolicy((root,)))[0] == "inside"
    assert read("a.txt", SourcePolicy((tmp_path / "linked",)))[0] == "inside"


def test_a_link_put_in_the_way_after_the_check_is_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "sub" / "a.txt").write_text("inside")
    genuine = Path.exists

    def swap_then_answer(path: Path) -> bool:
        answer = genuine(path)
        if path.name == "a.txt" and path.parent.name == "sub" and not path.parent.is_symlink():
            path.unlink()
            path.parent.rmdir()
            (tmp_path / "a.txt").write_text("outside")
            path.parent.symlink_to(tmp_path)
        return answer

    monkeypatch.setattr(Path, "exists", swap_then_answer)
    assert "cannot be read" in refusal("sub/a.txt", SourcePolicy((root,)))


def test_what_is_no_regular_file_is_refused_without_waiting(root: Path) -> None:
    os.mkfifo(root / "pipe")
    policy = SourcePolicy((root,))
    assert "is a device, pipe or socket" in refusal("pipe", policy)
    assert "is a directory" in refusal("sub", policy)
    assert "is a directory" in refusal(str(root), policy)
    assert "is a device" in refusal("/dev/zero", SourcePolicy((Path("/dev"),)))


def test_missing_and_impossible_paths_are_told(root: Path) -> None:
    policy = SourcePolicy((root,))
    assert "There is no file 'b.txt'" in refusal("b.txt", policy)
    assert "cannot be read" in refusal("x" * 5000, policy)
    assert "cannot be read" in refusal("a\0b", policy)
    (root / "loop").symlink_to("loop")
    assert refusal("loop", policy)


def test_files_over_the_limit_are_refused(root: Path) -> None:
    assert read("a.txt", SourcePolicy((root,), max_source_bytes=6))[0] == "inside"
    assert "The source has 6 bytes; at most 5 bytes" in refusal(
        "a.txt", SourcePolicy((root,), max_source_bytes=5)
    )


@pytest.mark.parametrize(
    ("uri", "content", "name", "media_type"),
    [
        ("data:,hello%20w%C3%B6rld", "hello wörld", "data.txt", "text/plain"),
        ("data:text/html;charset=utf-8,<p>x</p>", "<p>x</p>", "data.html", "text/html"),
        ("data:text/csv;base64," + base64.b64encode(b"a,b").decode(), "a,b", "data.csv", "text/csv"),
        ("data:text/plain;name=my%20notes.md;base64,aGk", "hi", "my notes.md", "text/plain"),
        ("DATA:text/plain;BASE64,aGk%3D", "hi", "data.txt", "text/plain"),
        ("data:;filename=../../etc/passwd,x", "x", "passwd", "text/plain"),
    ],
)
def test_data_uris_are_decoded(uri: str, content: str, name: str, media_type: str) -> None:
    text, local = read(uri, SourcePolicy())
    assert (text, local.name, local.media_type) == (content, name, media_type)


def test_data_uris_that_do_not_work_are_refused() -> None:
    assert "has no comma" in refusal("data:text/plain;base64", SourcePolicy())
    assert "not valid base64" in refusal("data:;base64,a*b", SourcePolicy())
    large = base64.b64encode(b"x" * 100).decode()
    assert "at most 99 bytes" in refusal(f"data:;base64,{large}", SourcePolicy(max_source_bytes=99))
    assert "at most 99 bytes" in refusal("data:," + "x" * 100, SourcePolicy(max_source_bytes=99))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("http://example.org/a.pdf", "http: is not accepted"),
        ("ftp://example.org/a.pdf", "ftp: is not accepted"),
        ("s3://bucket/a.pdf", "s3: is not accepted"),
        ("file://other.example/a.pdf", "file: URIs of other hosts"),
        ("https://example.org/a.pdf", "TASKS_FETCH_HTTPS=true"),
    ],
)
def test_anything_else_is_refused_with_what_to_do(root: Path, source: str, expected: str) -> None:
    assert expected in refusal(source, SourcePolicy((root,)))
