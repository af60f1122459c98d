"""`make clients`: other people's clients, each in an environment of its own, against one running server.

A client is a folder here. `requirements.lock` or `package-lock.json` is installed into `.clients/NAME` (a folder
with neither uses our own environment); then `drive.py` or `drive.mjs` is run with the URL of a server that offers
the tools of `tests.clients.tools`. All of them run at the same time. Ends with 1 if any of them fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.clients.environments import Drive, prepare
from tests.support.serving import logs, serving

HERE = Path(__file__).parent
TOOLS = "tests.clients.tools"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clients", nargs="*", help="clients to run instead of all of them")
    parser.add_argument(
        "--replicas", type=int, default=1, help="so many servers behind a load balancer that never sticks"
    )
    options = parser.parse_args()
    started = time.monotonic()
    found = sorted({path.parent.name for path in HERE.glob("*/drive.*")})
    names: list[str] = options.clients or found
    if unknown := set(names) - set(found):
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    with ThreadPoolExecutor() as threads:
        drives = list(threads.map(prepare, (HERE / name for name in names)))
    print(f"{len(drives)} environments are ready after {time.monotonic() - started:.0f} s", flush=True)
    failed = drive_all(drives, options.replicas)
    print(f"\nin {time.monotonic() - started:.0f} s")
    print(f"{len(drives) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def drive_all(drives: list[Drive], replicas: int) -> list[str]:
    """Run them all against one deployment, print what each has said; the names of those that failed."""
    failed: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="clients-", dir="/tmp") as directory,
        serving(TOOLS, Path(directory), replicas=replicas) as url,
        ThreadPoolExecutor(len(drives)) as threads,
    ):
        running = [(drive.name, threads.submit(drive.run, url)) for drive in drives]
        for name, run in running:
            passed, output = run.result()
            print(f"\n{name}\n{output.rstrip()}", flush=True)
            if not passed:
                failed.append(name)
        if failed:
            print(logs(Path(directory)))
    return failed


if __name__ == "__main__":
    sys.exit(main())
