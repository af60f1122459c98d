"""Renews the suite's package-lock.json: versions and hashes, and no URL.

npm would also write where each package was found, and where its authors take donations.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
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


def main() -> None:
    subprocess.run([Path(sys.executable).parent / "npm", "install", *OPTIONS], cwd=HERE, check=True)
    path = HERE / "package-lock.json"
    lock = without_funding(json.loads(path.read_text()))
    path.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
