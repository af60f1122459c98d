"""What a caller may name as the input of a built-in tool, and how it becomes a file that can be parsed.

A source is a path under the operator's file roots (or a `file:` URI of one), a `data:` URI, or, when the
operator allows it, an `https:` URL of a public host. Whatever it was, the tool gets a private copy: parsers
may map it, reopen it and trust its size while the original is replaced, truncated or deleted.

Blocking throughout: call it where blocking is allowed, that is in a tool's thread or subprocess.
"""

from __future__ import annotations

import contextlib
import hashlib
import mimetypes
import os
import re
import stat
import tempfile
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import unquote, urlsplit

from tasks_server.settings import Settings
from workers.tools.data_uri import parse_data_uri
from workers.tools.https import HttpsRules, fetch
from workers.tools.refusal import SourceRefused

CHUNK_BYTES = 1024 * 1024
LOCAL_FILE_HOSTS = ("", "localhost")
SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """What the operator lets callers name. `https` is None when fetching is switched off."""

    file_roots: tuple[Path, ...] = ()
    max_source_bytes: int = 200 * 1024 * 1024
    https: HttpsRules | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(
            file_roots=settings.file_roots,
            max_source_bytes=settings.max_source_bytes,
            https=HttpsRules() if settings.fetch_https else None,
        )


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A private copy of what the caller named.

    path: the copy; its suffix is that of `name`, everything else about it is made up.
    name: what the caller would call it, without directories ("report.pdf"); to show, never to open.
    size: bytes. media_type: as declared by a `data:` URI or an HTTPS server, without parameters; a claim, not
    a fact. sha256: of the content, in hex.
    """

    path: Path
    name: str
    size: int
    media_type: str | None
    sha256: str


@contextlib.contextmanager
def open_source(source: str, policy: SourcePolicy) -> Generator[LocalSource]:
    """Copy what `source` names into a temporary directory that lasts as long as the context.

    Raises SourceRefused when the source is of no accepted kind, outside the file roots, missing, not a
    regular file, larger than the policy allows, or (HTTPS) on an address that is not public.
    """
    if not source.strip():
        raise SourceRefused("The source is empty. Give a file path, a data: URI or an https: URL.")
    with tempfile.TemporaryDirectory(prefix="tasks-source-") as directory:
        copy = _PrivateCopy(Path(directory), policy.max_source_bytes)
        match = SCHEME.match(source)
        scheme = match["scheme"].lower() if match else ""
        if scheme == "data":
            yield _copy_data_uri(source, copy)
        elif scheme == "https":
            yield _copy_https(source, policy, copy)
        elif scheme == "file":
            yield _copy_file(_path_of_file_uri(source), policy, copy)
        elif scheme == "http":
            raise SourceRefused(
                "http: is not accepted, because anybody on the way could change the content. Use https:."
            )
        elif match and source[match.end() :].startswith("//"):
            raise SourceRefused(f"{scheme}: is not accepted. Give a file path, a data: URI or an https: URL.")
        else:
            yield _copy_file(source, policy, copy)


@dataclass(slots=True)
class _PrivateCopy:
    """Writes at most `limit` bytes into `directory`, and knows what it wrote."""

    directory: Path
    limit: int
    size: int = field(default=0, init=False)

    def refuse_size(self, size: int) -> None:
        """Say no before any byte is copied, when the size is already known."""
        if size > self.limit:
            raise SourceRefused(
                f"The source has {_megabytes(size)}; at most {_megabytes(self.limit)} are accepted here. "
                "Split it, or ask the operator to raise TASKS_MAX_SOURCE_BYTES."
            )

    def write(self, chunks: Iterable[bytes], name: str, media_type: str | None) -> LocalSource:
        suffix = Path(name).suffix
        path = self.directory / f"source{suffix if re.fullmatch(r'[.][A-Za-z0-9]{1,10}', suffix) else ''}"
        digest = hashlib.sha256()
        with path.open("xb") as file:
            for chunk in chunks:
                self.size += len(chunk)
                self.refuse_size(self.size)
                digest.update(chunk)
                file.write(chunk)
        return LocalSource(path, name, self.size, media_type, digest.hexdigest())


def _copy_file(path: str, policy: SourcePolicy, copy: _PrivateCopy) -> LocalSource:
    if not policy.file_roots:
        raise SourceRefused(
            "This server reads no files: no directory is open to tools. Send the content as a data: URI, or "
            "ask the operator to set TASKS_FILE_ROOTS to a JSON list of directories, such as "
            '["/srv/documents"].'
        )
    try:
        root, inner = _find_under_roots(path, policy.file_roots)
        with _open_regular_file(root, inner) as file:
            copy.refuse_size(os.fstat(file.fileno()).st_size)
            return copy.write(
                iter(lambda: file.read(CHUNK_BYTES), b""), display_name(inner.name) or "file", None
            )
    except FileNotFoundError as error:
        raise SourceRefused(
            f"There is no file {path!r}. Check the path; relative ones start at {_list(policy)}."
        ) from error
    except PermissionError as error:
        raise SourceRefused(
            f"The worker has no permission to read {path!r}. Ask the operator to grant it."
        ) from error
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # RuntimeError: links in a circle, before Python 3.13
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceRefused(f"{path!r} cannot be read: {reason}.") from error


def _find_under_roots(path: str, roots: tuple[Path, ...]) -> tuple[Path, Path]:
    """The root that holds the file, and the file's path inside it, both free of symbolic links.

    A path outside every root gets the same answer whether or not it exists.
    """
    real_roots = [root.resolve() for root in roots]
    candidates = [Path(path)] if Path(path).is_absolute() else [root / path for root in real_roots]
    inside = [
        (root, real.relative_to(root))
        for candidate in candidates
        for real in [candidate.resolve()]
        for root in real_roots
        if real.is_relative_to(root)
    ]
    if not inside:
        raise SourceRefused(
            f"{path!r} is outside the directories open to tools ({', '.join(map(str, roots))}). Move the "
            "file there, or ask the operator to add its directory to TASKS_FILE_ROOTS."
        )
    # A project keeps its secrets in such files (.env, .git, .ssh), and so does this server (.tasks-server).
    visible = [found for found in inside if not any(part.startswith(".") for part in found[1].parts)]
    if not visible:
        raise SourceRefused(
            f"{path!r} is hidden: tools open nothing whose name, or whose directory's name, starts with a dot. "
            "Copy the file to another name, or ask the operator to add its directory to TASKS_FILE_ROOTS."
        )
    existing = [found for found in visible if (found[0] / found[1]).exists()]
    return (existing or visible)[0]


def _open_regular_file(root: Path, inner: Path) -> BinaryIO:
    """Open step by step from the root, following no link.

    The path was free of links when it was resolved; a link that is put in its way since then is an error, not
    a way out of the root. Non-blocking, so that a FIFO cannot hold the worker before it is recognised.
    """
    if not inner.parts:
        raise SourceRefused(f"{str(root)!r} is a directory. Name a file in it.")
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in inner.parts[:-1]:
            below = os.open(
                part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory
            )
            os.close(directory)
            directory = below
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(inner.name, flags, dir_fd=directory)
    finally:
        os.close(directory)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise SourceRefused(f"{str(root / inner)!r} is {kind}. Name a regular file.")
    return os.fdopen(descriptor, "rb")


def _path_of_file_uri(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.netloc.lower() not in LOCAL_FILE_HOSTS:
        raise SourceRefused(
            f"file: URIs of other hosts ({parts.netloc}) are not accepted. Write file:///path/to/file."
        )
    return unquote(parts.path)


def _copy_data_uri(uri: str, copy: _PrivateCopy) -> LocalSource:
    data = parse_data_uri(uri)
    # Known before decoding, so that an oversized URI costs no second copy of itself.
    copy.refuse_size(data.least_size)
    name = display_name(data.name) or f"data{mimetypes.guess_extension(data.media_type) or ''}"
    return copy.write([data.decode()], name, data.media_type)


def _copy_https(url: str, policy: SourcePolicy, copy: _PrivateCopy) -> LocalSource:
    if policy.https is None:
        raise SourceRefused(
            "This server fetches no URLs. Send the content as a data: URI, or ask the operator to set "
            "TASKS_FETCH_HTTPS=true."
        )
    with fetch(url, policy.https) as download:
        if download.size is not None:
            copy.refuse_size(download.size)
        name = (
            display_name(download.name)
            or f"download{mimetypes.guess_extension(download.media_type or '') or ''}"
        )
        return copy.write(download.chunks, name, download.media_type)


def display_name(name: str) -> str:
    """A file name out of whatever a caller, a server or a directory calls it: no directories, no control characters."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in last if character.isprintable()).strip(" .\"'")[:200]


def _list(policy: SourcePolicy) -> str:
    return " or ".join(str(root) for root in policy.file_roots)


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:,.1f} MiB" if size >= 1024 * 1024 else f"{size:,} bytes"
