"""Where an embedded stack keeps everything: the database, the secret key, artifacts, Valkey's files."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tasks_server.errors import ConfigurationError

# Long enough for a worker that is started again; who starts without a tool does not want to wait for it.
TOOL_ABSENCE_SECONDS = 10.0


class DataDirectory:
    """A directory that is made, private to its user, when it does not exist.

    Raises ConfigurationError when it cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.path / ".gitignore").write_text("*\n")
            self.secret_key = self._secret_key()
        except OSError as error:
            raise ConfigurationError(
                f"The data directory {self.path} cannot be used: {error.strerror}. "
                "Choose another with --data-dir."
            ) from None

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def database_url(self) -> str:
        # SQLAlchemy would write it, but takes most of a second to load.
        return f"sqlite+aiosqlite:///{quote(str(self.path / 'tasks.db'), safe=' +/')}"

    def shared_settings(self, file_roots: Sequence[Path]) -> dict[str, Any]:
        """Settings of all who work on this directory, for somebody who has set none: JSON values by field."""
        return {
            "database_url": self.database_url,
            "artifact_dir": str(self.path / "artifacts"),
            "file_roots": [str(root) for root in file_roots],
            "tool_absence_seconds": TOOL_ABSENCE_SECONDS,
        }

    def _secret_key(self) -> str:
        path = self.path / "secret-key"
        if not path.exists():
            # Linked into place complete, so that whoever else starts here now reads the same whole key.
            draft = self.path / f"secret-key.{secrets.token_hex(8)}"
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_hex(32))
            with suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        return path.read_text().strip()


def home_directory() -> Path:
    """The user's, or the root directory for a user (of a container, say) that has none."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def readable_roots(working_directory: Path, home: Path) -> list[Path]:
    """What tools may read when the operator did not say: the project one stands in.

    Nothing at all when one stands in the home directory or above it: that would open private files.
    """
    return [] if home.resolve().is_relative_to(working_directory.resolve()) else [working_directory]


def users_own() -> Path:
    """The data directory of somebody who names none and may stand anywhere: where programs keep a user's data."""
    if sys.platform == "darwin":
        place = home_directory() / "Library" / "Application Support"
    else:
        named = Path(os.environ.get("XDG_DATA_HOME", ""))
        place = named if named.is_absolute() else home_directory() / ".local" / "share"
    return place / "tasks-server"
