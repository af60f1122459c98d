"""`python -m benchmarks`: this server, the peer and the floor side by side, in one run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvloop

from benchmarks import report
from benchmarks.details import DETAILS, Findings
from benchmarks.load import WrkMissing, wrk
from benchmarks.rounds import Effort, Figures, floor_turn, ground, turn
from benchmarks.services import postgresql
from benchmarks.subjects import Start, floor, ours, peer
from tests.clients.environments import python_environment
from tests.support.servers import PostgresServer

HERE = Path(__file__).parent
SUBJECTS = ("postgresql", "sqlite", "peer", "floor")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each subject has its turn (5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each load lasts (4)")
    parser.add_argument(
        "--tasks", type=int, default=4000, help="how many tasks are carried out in a turn (4000)"
    )
    parser.add_argument(
        "--only", choices=SUBJECTS, action="append", help="measure only this; may be repeated"
    )
    parser.add_argument(
        "--details", choices=[each.__name__ for each in DETAILS], action="append", help="only this"
    )
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    try:
        wrk()
    except WrkMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    effort = Effort(rounds=options.rounds, seconds=options.seconds, many=options.tasks)
    figures, findings = Figures(), Findings()
    alone = [each for each in DETAILS if not options.details or each.__name__ in options.details]
    with postgresql() as server:
        if options.only or not options.details:
            uvloop.run(compare(server, options.only or SUBJECTS, effort, figures))
            print(f"\n{report.comparison(figures)}\n", flush=True)
        if options.details or not options.only:
            for detail in alone:
                print(detail.__name__, flush=True)
                uvloop.run(detail(server, effort, findings))
            print(f"\n{report.details(findings)}")
    if options.write:
        report.write(figures, findings, effort)
    return 1 if figures.wrong else 0


async def compare(
    server: PostgresServer, subjects: tuple[str, ...], effort: Effort, figures: Figures
) -> None:
    """All rounds of these subjects."""
    starts: dict[str, Start] = {"postgresql": ours(), "sqlite": ours(), "floor": floor()}
    if "peer" in subjects:
        starts["peer"] = peer(python_environment(HERE / "peer" / "requirements.lock", "bench-peer"))
    for number in range(effort.rounds):
        for subject in subjects:
            print(f"round {number + 1}, {subject}", flush=True)
            on_postgresql = subject in ("postgresql", "floor")
            async with ground(server if on_postgresql else None, subject) as on:
                if subject == "floor":
                    await floor_turn(starts[subject], on, effort, figures)
                else:
                    await turn(subject, starts[subject], on, effort, figures)


if __name__ == "__main__":
    sys.exit(main())
