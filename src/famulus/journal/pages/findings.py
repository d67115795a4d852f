"""Findings and floors of an experiment as a page shows them, with links to the runs."""

from collections.abc import Sequence
from typing import Any

from famulus.journal.facts import names
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.findings import CommonFinding
from famulus.journal.facts.floors import Floor
from famulus.journal.facts.numbers import figure, plain, plural

LINKS = 6  # runs that a finding names


def finding_facts(finding: CommonFinding, cells: Cells, prefix: str) -> dict[str, Any]:
    """A finding with its cells named: what they share, and links to them."""
    groups = [g for g in cells.groups if any(r in finding.runs for r in g.records)]
    shared = [
        f"{a} {plain(groups[0].axes[a])}"
        for a in cells.axes
        if groups
        and groups[0].axes.get(a) is not None
        and all(g.axes.get(a) == groups[0].axes.get(a) for g in groups)
    ]
    where = plural(len(groups), "cell") if len(cells.groups) > 1 else ""
    where += (": " if where else "") + ", ".join(shared) if shared else ""
    links = [
        (prefix + names.run_page(r), cells.name(r))
        for g in groups[:LINKS]
        for r in [next(r for r in g.records if r in finding.runs)]
    ]
    return {"cause": finding.cause, "severity": finding.severity, "where": where,
            "evidence": finding.evidence, "remedy": finding.remedy, "links": links,
            "more": max(0, len(groups) - LINKS), "under": finding.under}  # fmt: skip


def floor_facts(floors: Sequence[Floor]) -> list[tuple[str, str]]:
    """('best constant (loss)', '0.161' or a range over the cells)."""
    lines = []
    for floor in floors:
        low, high = figure(floor.low), figure(floor.high)
        span = low if low == high else f"{low} to {high}"
        lines.append((f"{floor.means} ({floor.score})", span))
    return lines
