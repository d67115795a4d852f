"""The card of an exported model: what it is for, what it learned from, how good it is, its limits.

Facts of the store alone, as Markdown: hubs of models show it as the page of the folder.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from famulus.config.scores import find
from famulus.diagnosis.figures import baseline
from famulus.journal.facts.cost import energy
from famulus.journal.facts.entry import Entry, collect
from famulus.journal.facts.expectation import Expectation
from famulus.journal.facts.numbers import count, duration, figure, number, plain
from famulus.journal.facts.read import read_run
from famulus.journal.facts.record import Record
from famulus.journal.pages.markdown import escape
from famulus.store.run import Run
from famulus.store.store import Store

LICENCE = "Left to whoever hands this model on: name it here. Nothing else in this folder says one."
UNSAID = ("parents", "of_bytes")  # of what a net is built from
SAID = {
    "shape": "shape of an input",
    "size": "values of a code",
    "range": "stored values that become 0 and 1",
    "ground": "transparent pictures are laid on",
    "scale": "scale of voxels",
    "prevalence": "share of ink in training",
}


def card(store: Store, run: Run, about: Mapping[str, Any]) -> str:
    """README.md of the model folder of a run's checkpoint; `about`: its model.json."""
    record = read_run(run)
    entry = collect(store, run.experiment) if record.config.get("expect") else None
    sections = {
        "": [escape(str(record.config.get("why") or "")), "", *_listed(_made(about, record))],
        "Scores": list(_scores(about, record)),
        "Limits": _listed(_limits(about, record)),
        "Expectations": _listed(_expectations(entry)),
        "Findings": _listed(_findings(record)),
        "Use": _use(str(about["task"])),
        "Licence": [LICENCE],
    }
    lines = [f"# {escape(run.experiment)}: {escape(run.slug)}"]
    for title, body in sections.items():
        lines += ["", *([f"## {title}", ""] if title else []), *(body or ["None."])]
    return "\n".join(lines) + "\n"


def _listed(facts: Iterator[str]) -> list[str]:
    return [f"- {escape(fact)}" for fact in facts]


def _made(about: Mapping[str, Any], record: Record) -> Iterator[str]:
    facts, data = record.facts, record.config.get("data") or {}
    yield f"Task: {record.config.get('task')}"
    if record.parameters:
        yield f"Parameters: {record.parameters:,}"
    sizes = [facts.get(f"{part}_samples") for part in ("train", "validation")]
    counts = "{:,} training and {:,} validation samples".format(*sizes) if all(sizes) else ""
    named = ", ".join(str(x) for x in (data.get("name"), counts) if x)
    if named:
        yield f"Trained on: {named}"
    if mark := record.newest.get("data"):
        yield f"Fingerprint of the data: {mark}"
    long = f"{count(record.inputs)} samples, {record.step:,} steps"
    if record.seconds:
        long += f", {duration(record.seconds)}"
    if facts.get("device"):
        long += f" on {facts['device']}"
    used = energy([record])
    yield f"Training: {long}{f', {used}' if used else ''}; {record.status}"
    yield f"Weights: of step {about['lineage']['step']:,}, run {record.id}"
    for other, one in record.config.items():
        if isinstance(one, Mapping) and "sha256" in one:
            yield f"{other}: {one.get('run') or one.get('folder')}"


def _scores(about: Mapping[str, Any], record: Record) -> Iterator[str]:
    measured, baselines = (about["scores"][key] for key in ("measured", "baselines"))
    if not measured:
        return
    yield "| score | value | better | baselines |"
    yield "|---|---:|---|---|"
    for name, value in measured.items():
        known = find(name, record.declared)
        unit = f" {known.unit}" if known and known.unit else ""
        way = (known.better if known else None) or ("lower" if name == "loss" else "")
        rows = [
            f"{baseline(str(b['means']))} {figure(b['value'])}"
            for b in baselines
            if str(b["score"]).removeprefix("val/") == name
            and number(b["value"])
            and b["means"] != "initial loss"
        ]
        cells = (name, f"{figure(value, 4)}{unit}", way, "; ".join(rows))
        yield f"| {' | '.join(escape(cell) for cell in cells)} |"


def _limits(about: Mapping[str, Any], record: Record) -> Iterator[str]:
    """What its inputs were, and what was noticed in its data: beyond it nothing was measured."""
    for key, value in about["built_from"].items():
        if key not in UNSAID and value not in ([], {}, None):
            text = plain(value)
            text = text if len(text) <= 300 else text[:300] + " ..."
            yield f"{SAID.get(key, key)}: {text}"
    for key in ("loss", "resized", "precision"):
        value = record.facts.get(key)
        value = value.get("name") if isinstance(value, Mapping) else value
        if value is not None:
            yield f"{key}: {plain(value)}"
    notes = record.facts.get("data_notes") or ()
    yield from (f"data: {note}" for note in notes)
    yield "Inputs unlike these were never measured"


def _expectations(entry: Entry | None) -> Iterator[str]:
    expectations: tuple[Expectation, ...] = entry.expectations if entry else ()
    for one in expectations:
        measured = f": {one.measured}" if one.measured else ""
        yield f"{one.says}: {one.state}{measured}{f' ({one.when})' if one.when else ''}"


def _findings(record: Record) -> Iterator[str]:
    newest = {str(f.get("cause")): f for f in record.findings}
    for cause, finding in newest.items():
        yield f"{cause} ({finding.get('severity')}): {finding.get('evidence')}"


def _use(task: str) -> list[str]:
    own = f" --allow-module {task.partition(':')[0]}" if ":" in task else ""
    named = task.partition(":")[0] if own else task
    lines = {
        f"famulus apply . --verify{own}": "does this machine give the outputs of examples/?",
        f"famulus apply . INPUT -o OUT{own}": "your own files",
        f"famulus apply --help-task {named}{own}": "more options",
    }
    width = max(map(len, lines))
    return ["```sh", *(f"{line:<{width}}  # {what}" for line, what in lines.items()), "```"]
