"""`make conformance`: the official suite against our fixtures, on `tasks-server dev` or on several replicas.

Prints a line per scenario, every warning and failure with its reason, and a closing line; exits with 1 if
anything failed. There is no list of expected failures. Arguments name scenarios to run instead of everything.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.suite import (
    ALWAYS_SKIPPED,
    EXTENDED,
    SCORED,
    TASKS,
    UNSCORED,
    Report,
    missing_parts,
    run_suite,
)
from tests.support.serving import logs, serving

FIXTURES = "tests.conformance.fixtures"

# Less than test_reconnection takes, more than anything else does.
SETTINGS = {"TASKS_STREAM_SECONDS": "1"}


def run_revision(url: str, revision: str, results: Path) -> Iterator[Report]:
    """Everything the suite has for a revision: what it scores, what it does not, and its extension."""
    separately = {*UNSCORED[revision], *TASKS, *ALWAYS_SKIPPED}
    required = run_suite(url, results / "requirements", "--requirements", revision)
    scored = [report for report in required if report.scenario not in separately]
    if len(scored) != SCORED[revision]:
        raise RuntimeError(
            f"{len(scored)} scenarios were scored for {revision} instead of {SCORED[revision]}"
        )
    yield from scored
    for scenario in UNSCORED[revision]:
        yield from run_suite(url, results / scenario, "--scenario", scenario, "--spec-version", revision)
    for scenario in TASKS if revision == EXTENDED else ():
        yield from run_suite(url, results / scenario, "--scenario", scenario)


def run_named(url: str, revision: str, scenarios: list[str], results: Path) -> Iterator[Report]:
    for scenario in scenarios:
        version = [] if scenario in TASKS else ["--spec-version", revision]
        yield from run_suite(url, results / scenario, "--scenario", scenario, *version)


@contextmanager
def served(replicas: int, directory: str) -> Generator[str]:
    """The URL by the name `localhost`: the suite's DNS rebinding probes insist on it."""
    try:
        with serving(FIXTURES, Path(directory), replicas=replicas, env=SETTINGS) as url:
            yield url.replace("127.0.0.1", "localhost")
    except BaseException:
        print(logs(Path(directory)))
        raise


def print_report(report: Report) -> None:
    counts = {status: len(report.having(status)) for status in ("SUCCESS", "FAILURE", "WARNING", "SKIPPED")}
    extra = ", ".join(
        f"{count} {status.lower()}" for status, count in counts.items() if count and status != "SUCCESS"
    )
    mark = "ok  " if report.passed else "FAIL"
    print(
        f"{mark} {report.scenario:<52} {counts['SUCCESS']:>3} checks{'  ' + extra if extra else ''}",
        flush=True,
    )
    for check in (*report.having("FAILURE"), *report.having("WARNING")):
        print(f"       {check.status.lower()}: {check.id}: {check.message or check.description}")


def summary(reports: Iterable[Report], seconds: float) -> str:
    listed = list(reports)
    failed = sum(not report.passed for report in listed)
    warnings = sum(len(report.having("WARNING")) for report in listed)
    checks = sum(len(report.having("SUCCESS")) for report in listed)
    print(f"\n{checks} checks succeeded, {warnings} warnings, in {seconds:.0f} s")
    return f"{len(listed) - failed} passed, {failed} failed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", help="scenarios to run instead of all of them")
    parser.add_argument("--revision", choices=sorted(SCORED), help="one revision instead of all of them")
    parser.add_argument(
        "--replicas", type=int, default=1, help="so many servers behind a load balancer that never sticks"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copy the suite's output here")
    options = parser.parse_args()
    if missing := missing_parts():
        parser.error(missing)
    started = time.monotonic()
    reports: list[Report] = []
    with tempfile.TemporaryDirectory(prefix="conformance-") as name, served(options.replicas, name) as url:
        results = Path(name) / "results"
        behind = f", {options.replicas} replicas in turn" if options.replicas > 1 else ""
        for revision in [options.revision] if options.revision else sorted(SCORED):
            print(f"\nMCP conformance, revision {revision}{behind}\n")
            runs = (
                run_named(url, revision, options.scenarios, results / revision)
                if options.scenarios
                else run_revision(url, revision, results / revision)
            )
            for report in runs:
                print_report(report)
                reports.append(report)
        if not all(report.passed for report in reports):
            print(logs(Path(name)))
        if options.keep:
            shutil.copytree(results, options.keep, dirs_exist_ok=True)
    closing = summary(reports, time.monotonic() - started)
    print(closing)
    return 0 if all(report.passed for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
