"""The figures as Markdown and as a chart."""

from __future__ import annotations

import platform
from pathlib import Path

from benchmarks.chart import bars
from benchmarks.details import Findings
from benchmarks.rounds import Effort, Figures
from benchmarks.subjects import cores
from tests.soak.report import put_into, table

RATES = ("submit/s", "get, hot/s", "get, cold/s", "completed/s")
LATENCIES = ("idle, started ms", "idle, completed ms")
MEMORY = "at rest, server MB"
SUBJECTS = {"postgresql": "ours, PostgreSQL", "sqlite": "ours, SQLite", "peer": "peer", "floor": "floor"}
RATIOS = (("postgresql", "peer"), ("sqlite", "peer"), ("postgresql", "floor"))
DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- make bench -->", "<!-- /make bench -->"


def comparison(figures: Figures) -> str:
    """Medians over the rounds with the smallest and the largest value, then ratios round by round."""
    rows: list[list[str]] = []
    ratios: list[list[str]] = []
    for figure in (*RATES, *LATENCIES, MEMORY):
        places = 1 if figure.endswith(("ms", "MB")) else 0
        found = [figures.series(subject, figure) for subject in SUBJECTS]
        rows.append([figure, *(series.spread(places) if series else "-" for series in found)])
        beside = [figures.ratio(figure, of, to) for of, to in RATIOS]
        ratios.append([figure, *(series.spread(2) if series else "-" for series in beside)])
    named = [f"{SUBJECTS[of]} : {SUBJECTS[to]}" for of, to in RATIOS]
    return f"{table(('', *SUBJECTS.values()), rows)}\n\n{table(('', *named), ratios)}"


def details(findings: Findings) -> str:
    return table(("of this server, on PostgreSQL", ""), findings.rows)


def write(figures: Figures, findings: Findings, effort: Effort) -> None:
    """Put everything into the page of the documentation, with a chart."""
    machine = f"{cores()} cores ({platform.machine()}), Python {platform.python_version()}"
    title = f"{effort.rounds} rounds on {machine}; median (smallest-largest)"
    groups = {
        figure.removesuffix("/s"): {
            name: series.median
            for subject, name in SUBJECTS.items()
            if (series := figures.series(subject, figure)) is not None
        }
        for figure in RATES
    }
    (DOCS / "benchmarks.svg").write_text(bars(f"Per second, {effort.rounds} rounds", groups, "/s"))
    block = f"![Rates as bars](benchmarks.svg)\n\n{title}:\n\n{comparison(figures)}\n\n{details(findings)}"
    if not put_into(DOCS / "benchmarks.md", block, BEGIN, END):
        raise RuntimeError("docs/benchmarks.md lacks the markers between which the figures belong")
