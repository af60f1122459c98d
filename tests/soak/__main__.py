"""`python -m tests.soak --seed 7 --minutes 3`: exit code 1 if any book does not balance."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.soak import report
from tests.soak.fleet import ROOT
from tests.soak.run import Outcome, soak

DATABASES = ("postgresql", "sqlite")


def main() -> int:
    options = _options()
    seed: int = options.seed if options.seed is not None else random.SystemRandom().randrange(10_000)
    print(f"Soaking {options.minutes} minutes on {options.database} with seed {seed}.", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))
    outcome = asyncio.run(soak(directory, options.database, seed, options.minutes * 60))
    block = summary(outcome, options.database, seed, options.minutes)
    print(f"\n{report.BEGIN}\n{block}\n{report.END}")
    if not outcome.balances:
        _print_evidence(outcome)
        print(f"\nThe books do not balance. Output and ledger of this run: {directory}", file=sys.stderr)
        return 1
    if not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    if options.readme and not report.put_into(ROOT / "README.md", block):
        print("README.md has no place for the table: it lacks the markers.", file=sys.stderr)
        return 1
    return 0


def summary(outcome: Outcome, database: str, seed: int, minutes: float) -> str:
    """The block for the README."""
    faults = Counter(fault.kind for fault in outcome.faults)
    rows = [
        (kind, count, *report.spread(_recoveries(outcome, kind))) for kind, count in sorted(faults.items())
    ]
    every = report.spread(_recoveries(outcome, None))
    rows.append(("**all**", len(outcome.faults), *every))
    memory = outcome.memory
    again = Counter(
        "more often" if retries > 1 else "once" for retries in memory.retries.elements() if retries
    )
    figures = [
        ("requests answered", sum(memory.retries.values())),
        ("of these sent again", report.in_words(again, order=("once", "more often"))),
        ("streams opened again", memory.reconnections),
        ("tasks by outcome", report.in_words(outcome.ends)),
        ("attempts per task: tasks", report.in_words(outcome.attempts)),
        ("code of an ended task went on for at most", report.spread(outcome.overrun_seconds)[1]),
        ("at rest after the last fault in", f"{outcome.settled_seconds:.1f} s"),
        *((f"**{name}**", f"**{len(found)}**") for name, found in outcome.books.items()),
    ]
    heads = ("fault", "times", "next task completed after (median)", "(longest)")
    title = f"`make soak SEED={seed} MINUTES={minutes:g} DATABASE={database}`:"
    return f"{title}\n\n{report.table(heads, rows)}\n\n{report.table(('', ''), figures)}"


def _recoveries(outcome: Outcome, kind: str | None) -> list[float]:
    moments = [fault.at for fault in outcome.faults if kind in (None, fault.kind)]
    return report.recoveries(moments, outcome.completed_at)


def _print_evidence(outcome: Outcome) -> None:
    for name, complaints in outcome.books.items():
        for complaint in complaints:
            print(f"\n{name}: {complaint.task_id or ''} {complaint.what}", file=sys.stderr)
            for line in outcome.histories.get(complaint.task_id or "", []):
                print(f"    {line}", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeat the random choices of another run")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long the monkey is loose")
    parser.add_argument("--database", choices=DATABASES, default=DATABASES[0])
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--keep", action="store_true", help="keep the outputs of all processes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
