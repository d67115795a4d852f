"""The page of one experiment: question, facts, promises, curves, table, pictures, findings."""

from typing import Any

from markupsafe import Markup

from famulus.config.yaml import dump
from famulus.journal.facts import names
from famulus.journal.facts.entry import Entry, Finding
from famulus.journal.facts.group import Group, title
from famulus.journal.facts.headline import sentences
from famulus.journal.facts.numbers import duration, figure, plain, plural, with_spread
from famulus.journal.facts.record import Record
from famulus.journal.facts.table import Column, Measured, Table, build, select, settled, value
from famulus.journal.pages import lineage
from famulus.journal.pages.figures import (
    Figure,
    figure_data,
    figure_of,
    render_panels,
    train_series,
)
from famulus.journal.pages.html import json_block, notes_html, page
from famulus.journal.pages.panels import Layout, layout
from famulus.journal.pages.pictures import Gallery, chosen, gallery_of
from famulus.journal.pages.render import numeric, shown

LINKS = 6  # runs that a finding names


def chart(made: Figure, plan: Layout | None, caption: str, below: str = "") -> dict | None:
    if not made.traces:
        return None
    panels = [(t, Markup(svg)) for t, svg in render_panels(made)]
    legend = plan.legend if plan else []
    return {"panels": panels, "legend": legend, "caption": caption, "below": below,
            "data": json_block(figure_data(made))}  # fmt: skip


def entry_figure(entry: Entry, plan: Layout) -> Figure:
    """The curves of an entry, as the page and the Markdown twin show them."""

    def label(group: Group, record: Record) -> str:
        name = title(group.axes, entry.naming, ", ") or record.slug
        several = len(group.records) > 1
        return f"{name}, replicate {record.replicate}" if several else name

    return figure_of(plan, entry.score, label, lambda r: "runs/" + names.run_page(r))


def entry_page(entry: Entry) -> tuple[str, dict[str, bytes]]:
    """(HTML, pictures that lie beside it in `pictures/`)."""
    plan = layout(entry)
    gallery = Gallery("pictures/", {})
    front, rest = chosen(entry)
    table = entry_table(entry)
    visible = select(table)
    text = page(
        "entry.html.j2",
        names.home(entry.experiment),
        title=entry.experiment,
        entry=entry,
        margin=entry_margin(entry),
        chips=entry_chips(entry),
        sentences=sentences(entry),
        chart=_entry_chart(entry, plan),
        rows=_rows(visible, entry, plan),
        head=[{"name": c.name, "right": numeric(c, table)} for c in visible.columns],
        below=_below(entry),
        pictures=gallery_of(front, entry.naming, plan.colour, gallery),
        more_pictures=gallery_of(rest, entry.naming, plan.colour, gallery),
        findings=[finding_facts(f, entry, "runs/") for f in entry.findings],
        lineage=Markup(lineage.draw(entry.edges, namer(entry, "runs/"))),
        notes=[
            (r.name, "runs/" + names.run_page(r), notes_html(r.notes))
            for r in entry.records
            if r.notes.strip()
        ],
        floors=floor_facts(entry),
        settings=settings_text(entry.records[0]) if entry.records else "",
    )
    return text, gallery.files


def _entry_chart(entry: Entry, plan: Layout) -> dict | None:
    made = entry_figure(entry, plan)
    trained = any(train_series(r, entry.score) is not None for r in entry.records)
    caption = entry.score.replace("val/", "validation ") + (" (thin: training)" if trained else "")
    left_out = plural(plan.left_out, "cell")
    below = f"{left_out} with worse scores not drawn; the table has all." if plan.left_out else ""
    return chart(made, plan, caption, below)


def entry_table(entry: Entry) -> Table:
    """The results of an entry; `select` it before it is shown."""
    return build(entry.groups, entry.axes, entry.ranking, entry.scores, entry.promised)


def _rows(table: Table, entry: Entry, plan: Layout) -> list[dict]:
    scores = [value(r.cells.get(table.score)) for r in table.rows if settled(r)]
    found = [v for v in scores if v is not None]
    top = entry.ranking.best(found) if len(found) > 1 else None
    lines = []
    for row in table.rows:
        cells = [_cell(row.cells.get(c.name), c, table) for c in table.columns]
        for cell, column in zip(cells, table.columns, strict=True):
            cell["tone"] = "soft" if column.kind == "score" and not settled(row) else cell["tone"]
        first = row.records[0]
        lines.append(
            {
                "group": row.group,
                "colour": plan.colour.get(row.group, 7),
                "best": top is not None
                and settled(row)
                and value(row.cells.get(table.score)) == top,
                "href": "runs/" + names.run_page(first),
                "name": first.name,
                "cells": cells,
            }
        )
    return lines


def _cell(cell: Any, column: Column, table: Table) -> dict:
    number = value(cell)
    found = {"text": shown(cell, column), "pm": "", "meter": None, "tone": ""}
    found |= {"right": numeric(column, table), "axis": column.kind == "axis"}
    found["v"] = repr(number) if number is not None else (plain(cell) or None)
    if isinstance(cell, Measured):
        found["text"], found["pm"] = with_spread(cell.mean, cell.std)
    if column.kind == "meter" and cell is not None:
        found["meter"] = cell
    if column.name == "status":
        found["tone"] = next((t for s, t in TONES.items() if s in found["text"]), "")
    return found


TONES = {"failed": "bad", "interrupted": "warn", "running": "warn", "planned": "soft"}


def _below(entry: Entry) -> str:
    legend = f" · {entry.ranking.legend}" if len(entry.own) > 1 else ""
    replicates = {len(g.records) for g in entry.own}
    if max(replicates, default=0) > 1:
        n = plain(min(replicates)) if len(replicates) == 1 else "several"
        return f" · mean ± standard deviation of {n} replicates{legend}"
    return legend


def entry_margin(entry: Entry) -> list[str]:
    """Date, end, cells, time, energy and price."""
    states = entry.states
    total, done = sum(states.values()), states.get("finished", 0)
    lines = [entry.date]
    if entry.complete and entry.ended:
        lines.append(f"finished {entry.ended[11:16]} UTC".replace(" UTC", ""))
    lines.append(f"{plural(total, 'run')}, {done} done" if total else "")
    lines.append(duration(entry.seconds) if entry.seconds else "")
    lines.append(entry.energy)
    if entry.price:
        lines.append(f"{entry.price[1]} {entry.price[0]:.2f}")
    lines.append(f"task {entry.task}" if entry.task else "")
    return [line for line in lines if line]


def entry_chips(entry: Entry) -> list[tuple[str, str]]:
    """(tone, text): promises, findings, state, replicates."""
    chips = []
    if entry.promises:
        states = [p.state for p in entry.promises]
        tone = "bad" if "broken" in states else "good" if set(states) == {"kept"} else "soft"
        kept = states.count("kept")
        open_ = set(states) == {"not yet"}
        promised = plural(len(states), "promise")
        chips.append(
            (
                tone,
                f"{promised} open" if open_ else f"{kept} of {promised} kept",
            )
        )
    grave = [f for f in entry.findings if f.severity in ("warning", "error")]
    if grave:
        tone = "bad" if any(f.severity == "error" for f in grave) else "warn"
        chips.append((tone, plural(len(grave), "finding")))
    for state, n in entry.states.items():
        if state != "finished":
            chips.append((TONES.get(state, "soft"), f"{n} {state}"))
    replicates = max((len(g.records) for g in entry.own), default=0)
    if replicates > 1:
        chips.append(("soft", f"{replicates} replicates a cell"))
    return chips


def finding_facts(finding: Finding, entry: Entry, prefix: str) -> dict:
    """A finding with its cells named: what they share, and links to them."""
    groups = [g for g in entry.groups if any(r in finding.runs for r in g.records)]
    shared = [
        f"{a} {plain(groups[0].axes[a])}"
        for a in entry.axes
        if groups
        and groups[0].axes.get(a) is not None
        and all(g.axes.get(a) == groups[0].axes.get(a) for g in groups)
    ]
    where = plural(len(groups), "cell") if len(entry.groups) > 1 else ""
    where += (": " if where else "") + ", ".join(shared) if shared else ""
    links = [
        (prefix + names.run_page(r), title(r.axes, entry.naming) or r.slug)
        for g in groups[:LINKS]
        for r in [next(r for r in g.records if r in finding.runs)]
    ]
    return {"cause": finding.cause, "severity": finding.severity, "where": where,
            "evidence": finding.evidence, "remedy": finding.remedy, "links": links,
            "more": max(0, len(groups) - LINKS), "under": finding.under}  # fmt: skip


def floor_facts(entry: Entry) -> list[tuple[str, str]]:
    """('best constant (loss)', '0.161' or a range over the cells)."""
    lines = []
    for floor in entry.floors:
        low, high = figure(floor["low"]), figure(floor["high"])
        lines.append(
            (f"{floor['means']} ({floor['score']})", low if low == high else f"{low} to {high}")
        )
    return lines


def namer(entry: Entry, prefix: str) -> Any:
    known = {r.id: r for r in [*entry.records, *entry.earlier]}

    def name(run: str) -> tuple[str, str, str]:
        record = known.get(run)
        if record is None:
            return run[:12], "", ""
        words = title(record.axes, entry.naming) or record.slug
        return record.id[:6], words, prefix + names.run_page(record)

    return name


def settings_text(record: Record) -> str:
    """The filled configuration as YAML, then machine, versions and command."""
    newest = next((line for line in reversed(record.lineage) if line), {})
    extra = {k: newest[k] for k in ("command", "machine", "packages") if newest.get(k)}
    body = {k: v for k, v in record.config.items() if k not in ("why", "expect", "matrix")}
    if "command" in extra and isinstance(extra["command"], list):
        extra["command"] = " ".join(map(str, extra["command"]))
    return dump(body | extra)
