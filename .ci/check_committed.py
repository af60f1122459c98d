"""Refuses files that would tie the repository to one machine or one package index.

Looks at every file that git knows or would add. Lock files name versions and hashes only, so that an
installation asks whichever index its user has configured.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# Written so that no pattern matches its own line.
EVERYWHERE = {
    "a package index": re.compile(
        r"py(?:pi|thonhosted)\.org|npm(?:js)\.(?:org|com)|(?:--|_)(?:extra-)?index[-]url"
    ),
    "a path of one machine": re.compile(r"""(?:^|[\s"'`=(:])/(?:home|Users|root|work|opt|mnt)/[\w.-]"""),
}
IN_LOCK_FILES = {
    "*.lock": re.compile(r"[a-z]+://|^-|--find[-]links"),
    "package-lock.json": re.compile(r'[a-z]+://|"resolved":'),
}


def committed_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := Path(name)).is_file()]


def findings(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    patterns = dict(EVERYWHERE)
    for name, pattern in IN_LOCK_FILES.items():
        if path.match(name):
            patterns["an address in a lock file"] = pattern
    return [
        f"{path}:{number}: names {what}: {line.strip()[:100]}"
        for number, line in enumerate(lines, 1)
        for what, pattern in patterns.items()
        if pattern.search(line)
    ]


def main() -> int:
    found = [finding for path in committed_files() for finding in findings(path)]
    print("\n".join(found) if found else "Committed files name no package index and no path of a machine.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
