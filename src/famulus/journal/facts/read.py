"""A run of the store as a `Record`: each file is read once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from famulus.journal.facts.curves import Event, marks_of, series_of
from famulus.journal.facts.layers import read
from famulus.journal.facts.numbers import number
from famulus.journal.facts.record import PictureFile, Record
from famulus.journal.facts.unused_axes import applying
from famulus.store.run import CONTINUED, Run


def read_run(run: Run) -> Record:
    """Everything the pages show of `run`. A torn or strange event is left out, never an error."""
    config, status, done = run.config() or {}, run.status(), run.done() or {}
    attempts = tuple(run.attempts())
    lineage = tuple(run.lineage(n) for n in range(1, len(attempts) + 1))
    parent = _parent(lineage, config)
    events = list(run.events())
    curve = list(run.curve()) if parent.get("kind") in CONTINUED else events
    facts = {k: v for e in _of(events, "facts") for k, v in e.items() if k != "kind"}
    matrix = dict(config.get("matrix") or {})
    replicate = matrix.pop("replicate", None)
    seed = (config.get("training") or {}).get("seed")
    return Record(
        run, run.id, run.slug, run.experiment, config, status, done,
        axes=applying(matrix, config, facts),
        replicate=replicate if replicate is not None else seed or 0,
        facts=facts,
        series=series_of(curve),
        marks=marks_of(curve),
        floors=tuple(e for e in _of(events, "floor") if _is_whole(e)),
        findings=_of(events, "finding"),
        pictures=tuple(_picture(e) for e in _of(events, "picture") if e.get("file")),
        attempts=attempts, lineage=lineage, parent=parent, notes=run.notes() or "",
        last=next(iter(_of(events, "train")[-1:]), {}),
        layers=read(_of(curve, "probe")),
    )  # fmt: skip


def _of(events: Sequence[Event], kind: str) -> tuple[Event, ...]:
    return tuple(e for e in events if e.get("kind") == kind)


def _is_whole(floor: Event) -> bool:
    """Does it say what it is of, and its name?"""
    return number(floor.get("value")) and bool(floor.get("score") and floor.get("means"))


def _parent(lineage: Sequence[Event], config: Mapping[str, Any]) -> Event:
    """{'run': id, 'kind', 'checkpoint': step, ...} of what a run goes on from, or {}."""
    for line in lineage:
        parent = line.get("parent")
        if isinstance(parent, str):
            parent = {"id": parent}
        if isinstance(parent, Mapping) and (parent.get("id") or parent.get("run")):
            warm = "warm_start" if config.get("start_from") else "resume"
            known = {"run": parent.get("id") or parent.get("run"), "kind": warm}
            return known | {"checkpoint": parent.get("step")} | dict(parent)
    return {}


def _picture(event: Event) -> PictureFile:
    step, inputs = (int(event.get(k) or 0) for k in ("step", "inputs"))
    labels = tuple(str(x) for x in event.get("labels") or ())
    name, caption = str(event.get("name", "")), str(event.get("caption") or "")
    known = PictureFile(name, str(event["file"]), step, inputs, labels, caption)
    return replace(known, **_confusion(event.get("confusion")))


def _confusion(facts: Any) -> dict[str, Any]:
    """`classes` and `counts`; {} of what is no square table of counts with a name each."""
    try:
        classes = tuple(str(name) for name in facts["names"])
        counts = tuple(tuple(int(n) for n in row) for row in facts["counts"])
    except (TypeError, KeyError, ValueError):
        return {}
    square = {len(row) for row in counts} == {len(classes)} == {len(counts)}
    return {"classes": classes, "counts": counts} if square else {}
