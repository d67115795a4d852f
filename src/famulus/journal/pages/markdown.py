"""The Markdown twin of an entry, with its curves and pictures linked."""

from famulus.journal.facts import names
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.expectation import BROKEN, MET, OPEN, UNJUDGED, Expectation
from famulus.journal.facts.headline import sentences
from famulus.journal.facts.numbers import count
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.record import PictureFile
from famulus.journal.facts.selection import select
from famulus.journal.facts.sentence import Strong
from famulus.journal.pages.parts import entry_margin, finding_facts, origin_of
from famulus.journal.pages.pictures import chosen, confusion, newest, picture_name
from famulus.journal.pages.render import markdown
from famulus.journal.pages.results import caption

SIGNS = {MET: "✓", BROKEN: "✗", OPEN: "…", UNJUDGED: "?"}
LISTED = 500  # runs with a line each
SPECIAL = "\\`*_[]<>|#"


def escape(text: str) -> str:
    """`text` as one line that Markdown shows as it is."""
    # one line: a line end in a name would begin a list or a heading
    return "".join("\\" + c if c in SPECIAL else c for c in " ".join(str(text).split()))


def _sentence(parts: list[str]) -> str:
    return "".join(f"**{escape(p)}**" if isinstance(p, Strong) else _keep(p) for p in parts)


def _keep(text: str) -> str:
    """Escaped, with the spaces at its ends kept."""
    left = " " if text[:1] == " " else ""
    right = " " if text[-1:] == " " and text.strip() else ""
    return left + escape(text) + right


def entry_markdown(entry: Entry, curves: bool) -> str:
    """The whole entry; `curves`: curves.svg lies beside it."""
    cells, ranking = entry.cells, entry.ranking
    parts = [f"# {escape(entry.why or entry.experiment)}"]
    parts.append(f"`{origin_of(entry)}` · {' · '.join(escape(m) for m in entry_margin(entry))}")
    parts.append("\n".join(f"- {_sentence(s)}" for s in sentences(entry)))
    if entry.expectations:
        kept = [e for e in entry.expectations if not e.withdrawn]
        gone = [e for e in entry.expectations if e.withdrawn]
        parts += ["## Expectations", "\n".join(map(_expectation, kept))]
        parts += ["Withdrawn after a result:\n\n" + "\n".join(map(_gone, gone))] if gone else []
    if curves:
        parts += ["## Curves", f"![{escape(ranking.score)} over inputs](curves.svg)"]
    if cells.groups:
        parts += ["## Results", markdown(select(entry.table)).rstrip()]
        below = caption(cells, ranking, entry.runs.losses)
        parts += [escape(below)] if below else []
    parts += _pictures(cells, ranking)
    if entry.findings:
        parts.append("## Findings")
        for finding in entry.findings:
            facts = finding_facts(finding, cells, "runs/")
            where = f" ({escape(facts['where'])})" if facts["where"] else ""
            where += f", explained by {escape(finding.under)}" if finding.under else ""
            parts.append(f"**{escape(finding.cause)}**, {escape(finding.severity)}{where}")
            parts.append(escape(finding.evidence))
            for cell, text in facts["remedies"]:
                parts.append(f"To do{escape(cell and f', {cell}')}: {escape(text)}")
    if entry.edges:
        lines = [
            f"- `{e.child}` {e.kind.replace('_', ' ')} from `{e.parent}`"
            + (f" at step {e.checkpoint}" if e.checkpoint else "")
            for e in entry.edges
        ]
        parts += ["## Lineage", "\n".join(lines)]
    if noted := entry.runs.noted:
        parts.append("## Notes")
        for record in noted:
            parts += [f"### {escape(record.name)}", record.notes.strip()]
    parts += _settings(entry)
    return "\n\n".join(parts) + "\n"


def _expectation(one: Expectation) -> str:
    when = f"; {escape(one.when)}" if one.when else ""
    return f"- {SIGNS[one.state]} {one.state}: {escape(one.says)} — {escape(one.measured)}{when}"


def _gone(one: Expectation) -> str:
    says, measured = escape(one.says), escape(one.measured)
    return f"- ~~{says}~~: {one.state}, {measured}; {escape(one.when)}"


def _pictures(cells: Cells, ranking: Ranking) -> list[str]:
    front, rest = chosen(cells, ranking)
    lines = []
    for group in [*front, *rest]:
        for record, picture in newest(group):
            name = cells.name(record)
            rows = ", ".join(picture.labels)
            at = f"{picture.name} at {count(picture.inputs)} samples: {rows}"
            if picture.counts:
                lines += [f"{escape(name)}, {escape(at)}", _confusion(picture)]
                continue
            path = f"pictures/{picture_name(record, picture)}"
            lines.append(f"{escape(name)}, {escape(at)}\n\n![{escape(name)}]({path})")
    return ["## Pictures", *lines] if lines else []


def _confusion(picture: PictureFile) -> str:
    """A pipe table of counts with the classes' names, true by answered."""
    lines = ["| true \\\\ answered | " + " | ".join(map(escape, picture.classes)) + " |"]
    lines.append("|:---" + "|---:" * len(picture.classes) + "|")
    for row in confusion(picture):
        cells = [f"{c['n']} ({c['share']})" if c["share"] else c["n"] for c in row["cells"]]
        lines.append(f"| {escape(row['name'])} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + f"\n\n{escape(picture.caption)}"


def _settings(entry: Entry) -> list[str]:
    parts = ["## Settings"]
    if entry.varies:
        parts.append("What differs between cells: " + ", ".join(f"`{v}`" for v in entry.varies))
    if entry.history.since:
        lines = entry.history.changes or ("nothing differs",)
        parts.append(f"Against {entry.history.before} ({entry.history.since}):")
        parts.append("\n".join(f"- {escape(line)}" for line in lines))
    if entry.baselines:
        parts.append("\n".join(f"- {escape(k)}: {escape(v)}" for k, v in entry.baselines))
    if entry.runs.overrides:
        parts.append("Set beside the file: " + ", ".join(f"`{o}`" for o in entry.runs.overrides))
    if text := entry.runs.text:
        fence = "```"
        # a fence inside the file would end the block
        while fence in text:
            fence += "`"
        parts.append(f"{fence}yaml\n{text.rstrip()}\n{fence}")
    runs = [
        f"- [{escape(r.name)}](runs/{names.run_page(r)}): {r.status}"
        for r in entry.runs.records[:LISTED]
    ]
    return [*parts, "## Runs", "\n".join(runs)] if runs else parts
