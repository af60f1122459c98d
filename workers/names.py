"""Names that authors give to what is kept of a task, and what every database, URI and header can carry of them."""

from __future__ import annotations

import re

MAX_CHARACTERS = 500

_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(\s*;[\x20-\x7e]{0,200})?", re.ASCII)


def check_name(what: str, name: str) -> None:
    """Raise ValueError unless the name has 1 to 500 printable characters. what: "a step"."""
    if not name:
        raise ValueError(f"{what} needs a name")
    if len(name) > MAX_CHARACTERS:
        raise ValueError(
            f"the name of {what} has {len(name):,} characters; at most {MAX_CHARACTERS} are kept: {name[:50]!r}…"
        )
    if not name.isprintable():
        raise ValueError(f"the name of {what} has a character that cannot be shown: {name!r}")


def check_file_name(name: str) -> None:
    """Raise ValueError unless an artifact can be found under this name, by its URI and by its path alike."""
    check_name("an artifact", name)
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"an artifact is named like a file, which {name!r} is not")


def check_media_type(media_type: str) -> None:
    """Raise ValueError for what could not be sent as a Content-Type."""
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise ValueError(f"not a media type: {media_type[:100]!r}; write one such as text/markdown")
