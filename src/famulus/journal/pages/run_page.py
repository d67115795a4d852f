"""The page of one run: settings, curves, pictures over time, findings, lineage, provenance."""

from typing import Any

from markupsafe import Markup

from famulus.config.yaml import dump
from famulus.diagnosis.figures import baseline
from famulus.journal.facts import forecast, names
from famulus.journal.facts.changes import as_written
from famulus.journal.facts.cost import energy
from famulus.journal.facts.curves import Event
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.findings import CommonFinding
from famulus.journal.facts.lineage import Edge, lineage_of
from famulus.journal.facts.numbers import count, figure, plain
from famulus.journal.facts.ranking import ranking
from famulus.journal.facts.record import Record
from famulus.journal.pages import lineage
from famulus.journal.pages.entry_page import chart
from famulus.journal.pages.figures import run_figure
from famulus.journal.pages.html import notes_html, page
from famulus.journal.pages.layers_page import rows as layer_rows
from famulus.journal.pages.parts import TONES, elapsed, minute
from famulus.journal.pages.pictures import Gallery, over_time


def run_page(entry: Entry, record: Record) -> tuple[str, dict[str, bytes]]:
    """(HTML of one run, pictures that lie beside the entry's page)."""
    gallery = Gallery("../pictures/", {})
    score = ranking([record], list(record.scores)).score
    findings = [f for f in entry.findings if record in f.runs]
    newest, name = record.newest, lineage.namer(entry.runs, entry.cells, "")
    text = page(
        "run.html.j2",
        "../" + names.home(entry.experiment),
        title=entry.cells.name(record),
        record=record,
        margin=_run_margin(record),
        chips=_run_chips(entry, record),
        reason=_reason(record),
        data_notes=_data_notes(record),
        ahead=_ahead(record),
        scores=_run_scores(record),
        chart=chart(run_figure(record, score), None, "thick: validation, thin: training"),
        layers=layer_rows(record.layers) if record.layers else None,
        findings=[_own_finding(f, record) for f in findings],
        pictures=over_time(record, gallery),
        notes=notes_html(record.notes) if record.notes.strip() else "",
        lineage=Markup(lineage.draw(_family(entry, record), name)),
        events=_run_events(record),
        provenance=_provenance(record),
        packages="\n".join(f"{k} {v}" for k, v in (newest.get("packages") or {}).items()),
        # whole files may have been added: the page must stay one that opens
        code_diff=str((newest.get("code") or {}).get("diff") or "")[:100_000],
        settings=dump(as_written(record.config)),
    )
    return text, gallery.files


def _ahead(record: Record) -> str:
    """Where a run under way will end, or why that can't be said."""
    if record.status in ("finished", "failed") or not record.last:
        return ""
    words = forecast.words(forecast.ahead(record))
    return f"{words[:1].upper()}{words[1:]}." if words.startswith("no") else f"val/loss {words}."


def _run_margin(record: Record) -> list[str]:
    lines = [record.id, minute(record.started)]
    if record.ended and record.status != "running":
        lines.append(f"{record.status} {minute(record.ended)}")
    lines.append(f"{count(record.inputs)} samples, {record.step:,} steps" if record.step else "")
    lines.append(elapsed(record))
    power = f"{figure(record.watts)} W" if record.watts else ""
    lines.append(energy([record]) or power)
    lines.append(f"{figure(record.rate)} samples/s" if record.rate else "")
    device = record.facts.get("device")
    # on a CPU with all that the process held before, as cells that it trained earlier
    whose = "memory" if str(device).startswith("cuda") else "memory (whole process)"
    lines.append(f"{count(record.memory_mb * 1e6)}B of {whose}" if record.memory_mb else "")
    precision = record.facts.get("precision")
    precision = precision.get("name") if isinstance(precision, dict) else precision
    lines.append(" · ".join(plain(v) for v in (device, precision) if v))
    return [line for line in lines if line]


def _run_chips(entry: Entry, record: Record) -> list[tuple[str, str]]:
    stale, earlier = entry.history.stale, entry.runs.earlier
    chips = [(TONES.get(record.status, "good"), record.status)]
    chips += [("soft", "stopped early")] if record.done.get("status") == "stopped" else []
    chips += [("soft", f"{len(record.attempts)} attempts")] if len(record.attempts) > 1 else []
    chips += [("warn", "other code than the newest run")] if record.id in stale else []
    if record.repeats:
        chips.append(("soft", f"repetition of {record.repeats[:6]}"))
    chips += [("soft", "earlier version of the file")] if record in earlier else []
    if record.heir:
        chips.append(("soft", f"forked from {record.parent['run'][:6]}"))
    return chips


def _reason(record: Record) -> str:
    if record.status not in ("failed", "interrupted") and record.done.get("status") != "stopped":
        return ""
    return record.reason


def _data_notes(record: Record) -> list[tuple[str, str]]:
    """(tone, text) of what was noticed in the data, copies across the split first."""
    notes = record.facts.get("data_notes")
    notes = [str(n) for n in notes] if isinstance(notes, list | tuple) else []
    # few copies flatter nothing, and are told all the same
    first = [n for n in notes if n in record.leaks or n in record.copies]
    return [("warn", n) for n in first] + [("soft", n) for n in notes if n not in first]


def _run_scores(record: Record) -> list[tuple[str, str]]:
    lines = [(name, figure(v, 4)) for name, v in record.scores.items()]
    best = record.done.get("best") or {}
    if best.get("value") is not None:
        at = f" at step {best['step']:,}" if isinstance(best.get("step"), int) else ""
        lines.append((f"best {best.get('score')}", figure(best["value"], 4) + at))
    for floor in record.floors:
        means = baseline(str(floor.get("means")))
        lines.append((f"{means} ({floor.get('score')})", figure(floor["value"], 4)))
    if advice := record.facts.get("advice"):
        lines.append(("advice", plain(advice)))
    return lines


def _own_finding(finding: CommonFinding, record: Record) -> dict:
    own = [f for f in record.findings if str(f.get("cause")) == finding.cause][-1]
    at = f"step {own['step']:,}" if isinstance(own.get("step"), int) else ""
    remedies = [("", str(own["remedy"]))] if own.get("remedy") else []
    return {"cause": finding.cause, "severity": str(own.get("severity") or "info"), "where": at,
            "evidence": str(own.get("evidence") or ""), "remedies": remedies,
            "links": [], "more": 0, "under": str(own.get("under") or "")}  # fmt: skip


def _family(entry: Entry, record: Record) -> list[Edge]:
    """Edges of a run's ancestors and descendants; its own parents in other experiments too."""
    # an entry draws the runs of its plan; an older one has a family as well
    edges = entry.edges if record in entry.runs.records else lineage_of(record)
    near, grown = {record.id}, True
    while grown:
        more = {n for e in edges if near & {e.child, e.parent} for n in (e.child, e.parent)}
        grown, near = not more <= near, near | more
    return [e for e in edges if e.child in near]


def _run_events(record: Record) -> list[tuple[str, str]]:
    lines = []
    for n, attempt in enumerate(record.attempts, start=1):
        ended = f", {_end(attempt, record)}" if attempt.get("ended") else ""
        start = attempt.get("start_from")
        begun = f"attempt {n} from step {start:,}" if isinstance(start, int) else f"attempt {n}"
        lines.append((minute(str(attempt.get("time") or "")), begun + ended))
    for mark in record.marks:
        text = str(mark.get("text") or mark.get("what"))
        lines.append((f"step {int(mark.get('step') or 0):,}", text))
    return lines


def _end(attempt: Event, record: Record) -> str:
    """How an attempt ended; of the one that wrote done.json what that says, never just that."""
    how = str(attempt["ended"])
    if how == "finished":
        how = str(record.done.get("status") or how)
    words = {"error": "ended by an error", "rollback": "rolled back", "stopped": "stopped early"}
    at = minute(str(attempt.get("ended_time") or ""))
    return words.get(how, how) + (f" {at}" if at else "")


def _provenance(record: Record) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    newest = record.newest
    command = newest.get("command")
    command = " ".join(map(str, command)) if isinstance(command, list) else command
    for name, item in (
        ("command", command),
        ("overrides", ", ".join(map(str, newest.get("overrides") or []))),
        ("code", record.code),
        ("data", newest.get("data")),
    ):
        if item:
            lines.append((name, str(item)))
    machine = newest.get("machine")
    if isinstance(machine, dict):
        lines += [(str(k), _bytes(k, v)) for k, v in machine.items() if v is not None]
    # advice stands beside the scores, notes on the data before them, what they mean in the tables,
    # a parent's time in the margin
    skipped = {"time", "step", "inputs", "advice", "scores", "inherited"}
    skipped |= {"data_notes", "leaks", "copies"}
    lines += [(k, plain(v)) for k, v in record.facts.items() if v is not None and k not in skipped]
    return lines


def _bytes(name: str, item: Any) -> str:
    if str(name).endswith("_bytes") and isinstance(item, int):
        return f"{item / 2**30:.1f} GiB"
    return plain(item)
