"""Parts of several pages: the margin of an entry, chips of its state, findings with their cells."""

from collections.abc import Sequence
from typing import Any

from famulus.diagnosis.remedy import OWN_LOOP
from famulus.journal.facts import names
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.expectation import BROKEN, MET, OPEN, UNJUDGED
from famulus.journal.facts.findings import CommonFinding
from famulus.journal.facts.group import Group
from famulus.journal.facts.numbers import duration, plain, plural
from famulus.journal.facts.record import Record

LINKS = 6  # runs that a finding names
REMEDIES = 3  # different ones that are told of a finding
TONES = {"failed": "bad", "interrupted": "warn", "running": "warn", "planned": "soft"}


def minute(time: str) -> str:
    """'2026-11-20 09:05' of a time of the store."""
    return time[:16].replace("T", " ")


def elapsed(record: Record) -> str:
    """What a run took; of a fork its own time, and that on its curve; '' where nothing is known."""
    if not record.seconds:
        return ""
    own = duration(record.own_seconds)
    if not record.inherited_seconds:
        return own
    return f"{own} of its own, {duration(record.seconds)} with its parent's"


def origin_of(entry: Entry) -> str:
    """What an experiment came from: its file, or a training loop that a monitor watched."""
    if entry.runs.text:
        return entry.runs.source or f"{entry.experiment}.yaml"
    monitored = entry.task == OWN_LOOP
    return f"{entry.experiment}, a monitored training loop" if monitored else entry.experiment


def entry_margin(entry: Entry) -> list[str]:
    """Date, end, cells, time, energy and price."""
    states, history, cost = entry.runs.states, entry.history, entry.cost
    total, done = sum(states.values()), states.get("finished", 0)
    lines = [history.date]
    if entry.runs.complete and history.ended:
        word = "finished" if set(states) == {"finished"} else "ended"
        lines.append(f"{word} {history.ended[11:16]}")
    lines.append(f"{plural(total, 'run')}, {done} done" if total else "")
    lines.append(f"{duration(cost.seconds)} of training" if cost.seconds else "")
    lines.append(cost.energy)
    if cost.price:
        amount, currency = cost.price
        lines.append(f"{currency} {amount:.2f}" if amount >= 0.01 else f"below {currency} 0.01")
    lines.append(f"task {entry.task}" if entry.task and entry.task != OWN_LOOP else "")
    return [line for line in lines if line]


def entry_chips(entry: Entry) -> list[tuple[str, str]]:
    """(tone, text): expectations, the first cause found, state, replicates."""
    chips = []
    present = [e for e in entry.expectations if not e.withdrawn]
    if present:
        states = [e.state for e in present]
        tone = "bad" if BROKEN in states else "good" if set(states) == {MET} else "soft"
        expected = plural(len(states), "expectation")
        met = f"{states.count(MET)} of {expected} met"
        if not {MET, BROKEN} & set(states):
            met = f"{expected} {OPEN if OPEN in states else UNJUDGED}"
        chips.append((tone, met))
    if grave := [f for f in entry.findings if f.grave]:
        tone = "bad" if any(f.severity == "error" for f in grave) else "warn"
        more = f" and {len(grave) - 1} more" if len(grave) > 1 else ""
        chips.append((tone, f"{grave[0].cause}{more}"))
    if any(record.leaks for record in entry.runs.records):
        chips.append(("warn", "scores flatter"))
    for state, n in entry.runs.states.items():
        if state != "finished":
            chips.append((TONES.get(state, "soft"), f"{n} {state}"))
    most = max(entry.cells.replicates, default=0)
    if most > 1:
        chips.append(("soft", f"{most} replicates a cell"))
    return chips


def finding_facts(finding: CommonFinding, cells: Cells, prefix: str) -> dict[str, Any]:
    """A finding with its cells named: what they share, and links to them."""
    groups = [g for g in cells.groups if any(r in finding.runs for r in g.records)]
    first = groups[0].axes if groups else {}
    common = [a for a in cells.axes if all(g.axes.get(a) == first.get(a) for g in groups)]
    shared = [f"{a} {plain(first[a])}" for a in common if first.get(a) is not None]
    total = len(cells.groups)
    where = f"{len(groups)} of {plural(total, 'cell')}" if total > 1 else ""
    # only if no other cell has them
    alike = [g for g in cells.groups if all(g.axes.get(a) == first.get(a) for a in common)]
    where += f": {', '.join(shared)}" if where and shared and len(alike) == len(groups) else ""
    if (seeds := sum(len(g.records) for g in groups)) > len(finding.runs):
        where += f", {len(finding.runs)} of {seeds} runs"
    # one run a cell: replicates mostly show the same
    runs = [next(r for r in g.records if r in finding.runs) for g in groups[:LINKS]]
    links = [(prefix + names.run_page(r), cells.name(r)) for r in runs]
    several = len(cells.groups) > 1
    evidence = f"{cells.label(_group_of(finding.of, cells))}: " if several else ""
    advice = [("" if len(finding.remedies) == 1 else _whose(runs, cells), text)
              for text, runs in finding.remedies[:REMEDIES]]  # fmt: skip
    return {"cause": finding.cause, "severity": finding.severity, "where": where,
            "evidence": evidence + finding.evidence, "remedies": advice, "links": links,
            "more": max(0, len(groups) - LINKS), "under": finding.under}  # fmt: skip


def _group_of(record: Record, cells: Cells) -> Group:
    return next(g for g in cells.groups if record in g.records)


def _whose(runs: Sequence[Record], cells: Cells) -> str:
    """'lr 0.1 and 1 other cell', for a remedy that is not for all."""
    return cells.some([g for g in cells.groups if any(r in runs for r in g.records)])
