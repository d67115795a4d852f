"""The journal's first page: dated entries and notes, newest first; findings, runs, the list."""

from dataclasses import dataclass
from typing import Any

from famulus.config.errors import StoreError
from famulus.journal.facts import names
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.headline import sentences
from famulus.journal.facts.numbers import count, duration, figure
from famulus.journal.pages.findings import finding_facts
from famulus.journal.pages.html import notes_html, page
from famulus.journal.pages.margin import TONES, entry_chips, entry_margin
from famulus.store.store import Store

FIRST_LINES = 3  # sentences of an entry shown on the first page
MOST_RUNS = 2000


@dataclass(frozen=True)
class Note:
    """A dated page of the person's: `lab/2026-11-20.md`."""

    name: str
    text: str


def lab_notes(store: Store) -> tuple[list[Note], str]:
    """(notes, newest first; the list of what to do). What can't be read is left out."""
    notes, todo = [], ""
    for file in sorted(store.files.list("lab"), reverse=True):
        if not file.endswith(".md"):
            continue
        try:
            text = store.files.read(f"lab/{file}").decode(errors="replace")
        except (FileNotFoundError, StoreError):
            continue
        if file == "todo.md":
            todo = text
        else:
            notes.append(Note(file.removesuffix(".md"), text))
    return notes, todo


def index_page(entries: list[Entry], notes: list[Note], todo: str) -> str:
    dated = [(e.history.date, e.experiment, _entry(e)) for e in entries]
    for note in notes:
        body = notes_html(note.text)
        line = {"margin": [note.name, "note"], "href": "", "body": body}
        dated.append((note.name, "\uffff", line))
    dated.sort(key=lambda d: (d[0], d[1]), reverse=True)
    findings = [
        (facts := finding_facts(f, e.cells, f"{names.folder(e.experiment)}/runs/"))
        | {"where": f"{e.experiment} · {facts['where']}".rstrip(" ·")}
        for e in entries
        for f in e.findings
        if f.severity != "info"
    ]
    return page(
        "index.html.j2",
        "",
        title="Lab journal",
        entries=[line for _, _, line in dated],
        todo=notes_html(todo) if todo.strip() else "",
        findings=findings,
        runs=_runs(entries),
        heads=[("experiment", False), ("cell", False), ("status", False), ("score", True),
               ("inputs", True), ("time", True), ("started", False), ("run", False)],
    )  # fmt: skip


def _entry(entry: Entry) -> dict:
    return {
        "margin": entry_margin(entry),
        "href": f"{names.folder(entry.experiment)}/index.html",
        "path": entry.experiment,
        "title": entry.why or entry.experiment,
        "chips": entry_chips(entry),
        "sentences": sentences(entry)[:FIRST_LINES],
    }


def _runs(entries: list[Entry]) -> list[list[dict]]:
    """Rows of the table of all runs, the newest first."""
    rows = []
    for entry in entries:
        base = names.folder(entry.experiment)
        for record in entry.runs.all:
            score = record.scores.get(entry.ranking.score)
            rows.append(
                (
                    record.started,
                    [
                        _cell(entry.experiment, href=f"{base}/index.html"),
                        _cell(entry.cells.name(record)),
                        _cell(record.status, tone=TONES.get(record.status, "")),
                        _cell(figure(score), score, True),
                        _cell(count(record.inputs), record.inputs, True),
                        _cell(duration(record.seconds), record.seconds, True),
                        _cell(record.started[:16].replace("T", " ")),
                        _cell(record.id[:6], href=f"{base}/runs/{names.run_page(record)}"),
                    ],
                )
            )
    rows.sort(key=lambda r: r[0], reverse=True)
    return [cells for _, cells in rows[:MOST_RUNS]]


def _cell(text: str, v: Any = None, right: bool = False, href: str = "", tone: str = "") -> dict:
    return {
        "text": text,
        "v": text if v is None else repr(float(v)),
        "right": right,
        "href": href,
        "tone": tone,
    }
