"""Renews every package-lock.json below `tests`: versions and hashes, and no URL.

npm would also write where each package was found, and where its authors take donations.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
OPTIONS = (
    "--package-lock-only",
    "--ignore-scripts",
    "--omit-lockfile-registry-resolved",
    "--no-audit",
    "--no-fund",
)


def without_funding(lock: dict[str, Any]) -> dict[str, Any]:
    for package in lock["packages"].values():
        package.pop("funding", None)
    return lock


def renew(directory: Path) -> None:
    subprocess.run([Path(sys.executable).parent / "npm", "install", *OPTIONS], cwd=directory, check=True)
    path = directory / "package-lock.json"
    lock = without_funding(json.loads(path.read_text()))
    path.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    for package in sorted(TESTS.glob("**/package.json")):
        renew(package.parent)
