"""Where `tasks-server dev` keeps everything: the database, the secret key, artifacts, Valkey's files."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from tasks_server.errors import ConfigurationError

# Somebody at a terminal has pressed Ctrl-C and waits; handing work back loses none of it.
SHUTDOWN_GRACE_SECONDS = 2.0
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

    def settings(self) -> dict[str, str]:
        """Settings of this process for somebody who has set none, by field, as the environment holds them."""
        return {
            "secret_key": self.secret_key,
            "shutdown_grace_seconds": str(SHUTDOWN_GRACE_SECONDS),
        }

    def shared_settings(self) -> dict[str, Any]:
        """Settings of all who work on this directory, for somebody who has set none: JSON values by field."""
        database = URL.create("sqlite+aiosqlite", database=str(self.path / "tasks.db"))
        return {
            "database_url": database.render_as_string(),
            "artifact_dir": str(self.path / "artifacts"),
            "file_roots": [str(root) for root in readable_roots(Path.cwd(), home_directory())],
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
