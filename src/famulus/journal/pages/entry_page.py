"""The page of one experiment: question, facts, promises, curves, table, pictures, findings."""

from markupsafe import Markup

from famulus.config.yaml import dump
from famulus.journal.facts import names
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.changes import as_written
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.group import Group
from famulus.journal.facts.headline import sentences
from famulus.journal.facts.numbers import plural
from famulus.journal.facts.record import Record
from famulus.journal.facts.selection import select
from famulus.journal.pages import figures, lineage
from famulus.journal.pages.html import json_block, notes_html, page
from famulus.journal.pages.panels import Layout, layout
from famulus.journal.pages.parts import entry_chips, entry_margin, finding_facts, origin_of
from famulus.journal.pages.pictures import Gallery, chosen, gallery_of
from famulus.journal.pages.plot import figure_data, render_panels
from famulus.journal.pages.render import for_people, numeric
from famulus.journal.pages.results import caption, result_rows


def chart(made: figures.Figure, plan: Layout | None, caption: str, below: str = "") -> dict | None:
    if not made.traces:
        return None
    panels = [(t, Markup(svg)) for t, svg in render_panels(made)]
    legend = plan.legend if plan else []
    return {"panels": panels, "legend": legend, "caption": caption, "below": below,
            "data": json_block(figure_data(made))}  # fmt: skip


def entry_figure(cells: Cells, score: str, plan: Layout) -> figures.Figure:
    """The curves of an entry, as the page and the Markdown twin show them."""

    def label(group: Group, record: Record) -> str:
        name = cells.name(record, ", ")  # not the group's: its runs may have other slugs
        several = len(group.records) > 1
        return f"{name}, replicate {record.replicate}" if several else name

    return figures.figure_of(plan, score, label, lambda r: "runs/" + names.run_page(r))


def entry_page(entry: Entry) -> tuple[str, dict[str, bytes]]:
    """(HTML, pictures that lie beside it in `pictures/`)."""
    runs, cells, table = entry.runs, entry.cells, entry.table
    plan = layout(cells, entry.ranking)
    gallery = Gallery("pictures/", {})
    front, rest = chosen(cells, entry.ranking)
    visible = for_people(select(table))
    text = page(
        "entry.html.j2",
        names.home(entry.experiment),
        title=entry.experiment,
        entry=entry,
        origin=origin_of(entry),
        margin=entry_margin(entry),
        chips=entry_chips(entry),
        sentences=sentences(entry),
        expected=[e for e in entry.expectations if not e.withdrawn],
        withdrawn=[e for e in entry.expectations if e.withdrawn],
        chart=_entry_chart(cells, entry.ranking.score, plan),
        rows=result_rows(visible, plan.colour),
        head=[{"name": c.name, "right": numeric(c, visible)} for c in visible.columns],
        below=caption(cells, entry.ranking, runs.losses),
        pictures=gallery_of(front, cells, plan.colour, gallery),
        more_pictures=gallery_of(rest, cells, plan.colour, gallery),
        findings=[finding_facts(f, cells, "runs/") for f in entry.findings],
        lineage=Markup(lineage.draw(entry.edges, lineage.namer(runs, cells, "runs/"))),
        notes=[(r.name, "runs/" + names.run_page(r), notes_html(r.notes)) for r in runs.noted],
        settings=settings_text(runs.records[0]) if runs.records else "",
    )
    return text, gallery.files


def _entry_chart(cells: Cells, score: str, plan: Layout) -> dict | None:
    curves = entry_figure(cells, score, plan)
    trained = any(figures.train_series(r, score) for g in cells.groups for r in g.records)
    words = score.replace("val/", "validation ") + (" (thin: training)" if trained else "")
    left_out = plural(plan.left_out, "cell")
    below = f"{left_out} with worse scores not drawn; the table has all." if plan.left_out else ""
    return chart(curves, plan, words, below)


def settings_text(record: Record) -> str:
    """The filled configuration as YAML, then machine, versions and command."""
    extra = {k: v for k in ("command", "machine", "packages") if (v := record.newest.get(k))}
    # told elsewhere on the page, and a matrix is of all cells
    body = {
        k: v for k, v in as_written(record.config).items() if k not in ("why", "expect", "matrix")
    }
    if isinstance(extra.get("command"), list):
        extra["command"] = " ".join(map(str, extra["command"]))
    return dump(body | extra)
