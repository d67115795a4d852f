"""The journal's first page: dated entries and notes, newest first; findings, runs, the list."""

import contextlib
from collections.abc import Mapping, Sequence

from famulus.config.errors import StoreError
from famulus.journal.facts import names
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.headline import sentences
from famulus.journal.facts.numbers import count, figure
from famulus.journal.facts.record import Record
from famulus.journal.pages.html import notes_html, page
from famulus.journal.pages.parts import (
    TONES,
    elapsed,
    entry_chips,
    entry_margin,
    finding_facts,
    minute,
    origin_of,
)
from famulus.store.store import Store

FIRST_LINES = 3  # sentences of an entry shown on the first page
MOST_RUNS = 2000


def lab_notes(store: Store) -> dict[str, str]:
    """The person's dated pages and list, as Markdown by name; what can't be read is left out."""
    notes = {}
    for name in store.lab():
        # one damaged note must not hide the journal
        with contextlib.suppress(StoreError):
            notes[name] = store.read_lab(name)
    return notes


def index_page(entries: Sequence[Entry], notes: Mapping[str, str]) -> str:
    """HTML; `notes` are the person's pages, `todo` among them is the list."""
    dated = []
    for entry in sorted(entries, key=lambda e: e.experiment, reverse=True):
        time = entry.history.ended or entry.history.started
        dated.append((entry.history.date, False, time, _entry(entry)))
    for name, text in sorted(notes.items()):
        if name != "todo":
            line = {"margin": [name, "note"], "href": "", "body": notes_html(text)}
            dated.append((name[:10], True, name, line))
    # on its day a person's note stands first, then what ended last
    dated.sort(key=lambda d: d[:3], reverse=True)
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
        entries=[line for *_, line in dated],
        todo=notes_html(todo) if (todo := notes.get("todo", "")).strip() else "",
        findings=findings,
        runs=_runs(entries),
        heads=[("experiment", False), ("cell", False), ("status", False), ("score", True),
               ("samples", True), ("time", True), ("started", False), ("run", False)],
    )  # fmt: skip


def _entry(entry: Entry) -> dict:
    home = f"{names.folder(entry.experiment)}/index.html"
    return {"margin": entry_margin(entry), "href": home, "path": origin_of(entry),
            "title": entry.why or entry.experiment, "chips": entry_chips(entry),
            "sentences": sentences(entry)[:FIRST_LINES]}  # fmt: skip


def _runs(entries: Sequence[Entry]) -> list[list[dict]]:
    """Rows of the table of all runs, the newest first."""
    runs = [(record, entry) for entry in entries for record in entry.runs.all]
    runs.sort(key=lambda pair: (pair[0].started, pair[0].id), reverse=True)
    return [_row(record, entry) for record, entry in runs[:MOST_RUNS]]


def _row(record: Record, entry: Entry) -> list[dict]:
    base, score = names.folder(entry.experiment), record.scores.get(entry.ranking.score)
    return [
        _cell(entry.experiment, href=f"{base}/index.html"),
        _cell(entry.cells.name(record)),
        _cell(record.status, tone=TONES.get(record.status, "")),
        _cell(figure(score), score, True),
        _cell(count(record.inputs), record.inputs, True),
        _cell(elapsed(record), record.own_seconds, True),
        _cell(minute(record.started), at=record.started),
        _cell(record.id[:6], href=f"{base}/runs/{names.run_page(record)}"),
    ]


def _cell(
    text: str,
    v: float | None = None,
    right: bool = False,
    href: str = "",
    tone: str = "",
    at: str = "",
) -> dict:
    # a table sorts by values, not by what they look like (1 k, 2 min, the same minute)
    sorts_by = (at or text) if v is None else repr(float(v))
    return {"text": text, "v": sorts_by, "right": right, "href": href, "tone": tone}
