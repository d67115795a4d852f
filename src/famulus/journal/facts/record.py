"""What one run did, read from the store once: series, scores, findings, pictures, provenance.

Units: step = optimizer updates, inputs = examples seen, seconds = training time of all attempts.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from famulus import tasks
from famulus.config.scores import Scores, find, from_json
from famulus.journal.facts.layers import Layers, read
from famulus.journal.facts.unused_axes import applying, setting
from famulus.store.run import CONTINUED

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True)
class Series:
    """One measured quantity over training: arrays of equal length, finite values only."""

    step: np.ndarray
    inputs: np.ndarray
    seconds: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Picture:
    """One picture at one time: labelled rows of equal height."""

    name: str
    file: str
    step: int
    inputs: int
    labels: tuple[str, ...]
    caption: str


@dataclass
class Record:
    """The facts of one run."""

    run: Any
    id: str
    slug: str
    experiment: str
    config: dict
    status: str
    done: dict
    axes: dict
    replicate: int
    facts: dict = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)  # "train/total", "val/loss", "lr", ...
    marks: list[dict] = field(default_factory=list)
    floors: list[dict] = field(default_factory=list)
    findings: list[dict] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    starts: list[dict] = field(default_factory=list)
    attempts: list[dict] = field(default_factory=list)
    lineage: list[dict] = field(default_factory=list)
    notes: str = ""
    last: dict = field(default_factory=dict)  # the newest train event
    layers: Layers | None = None  # what probes saw

    @property
    def name(self) -> str:
        return f"{self.slug}-{self.id}"

    @property
    def scores(self) -> dict[str, float]:
        """Scores at the end, or so far: val/loss, ..."""
        done = {k: v for k, v in (self.done.get("scores") or {}).items() if number(v)}
        if done:
            return done
        return {k: float(s.value[-1]) for k, s in self.series.items() if k.startswith("val/")}

    @property
    def inputs(self) -> int:
        return int(self.done.get("inputs") or self._newest("inputs"))

    @property
    def step(self) -> int:
        return int(self.done.get("step") or self._newest("step"))

    @property
    def seconds(self) -> float | None:
        known = self.done.get("seconds")
        return float(known) if number(known) else (self._newest("seconds") or None)

    @property
    def own_seconds(self) -> float:
        """Without the time of the run that this one goes on from; 0 where nothing is known."""
        return max((self.seconds or 0.0) - self._inherited("seconds"), 0.0)

    @property
    def own_energy_wh(self) -> float:
        """Without the energy of the run that this one goes on from; 0 where it is not known."""
        return max((self.energy_wh or 0.0) - self._inherited("energy_wh"), 0.0)

    def _inherited(self, what: str) -> float:
        found = self.facts.get("inherited")
        value = found.get(what) if isinstance(found, Mapping) else None
        return float(value) if number(value) else 0.0

    @property
    def rate(self) -> float | None:
        """Inputs a second of training."""
        rate = self.done.get("rate") or self.last.get("rate")
        return float(rate) if number(rate) else None

    @property
    def energy_wh(self) -> float | None:
        """Of the whole device that trained, over all attempts; None where it was not measured."""
        known = self.done.get("energy_wh")
        return float(known) if number(known) and known > 0 else None

    @property
    def watts(self) -> float | None:
        """Power of the device: the mean of a run that is done, else what was last seen."""
        known = self.done.get("watts") if self.done else self.last.get("watts")
        return float(known) if number(known) else None

    @property
    def energy_of(self) -> str:
        """GPU, CPU package, ..."""
        return str(self.done.get("energy_of") or "device")

    @property
    def parameters(self) -> int | None:
        return self.done.get("parameters") or self.facts.get("parameters")

    @property
    def memory_mb(self) -> float | None:
        """The most that the rehearsal or a probe saw: of a GPU what torch took there, else what
        the process held."""
        seen = [v for v in [self.rehearsed_mb] if v]
        if (series := self.series.get("memory (MB)")) is not None:
            seen.append(float(series.value.max()))
        return max(seen, default=None)

    @property
    def rehearsed_mb(self) -> float | None:
        """Peak of the steps, validation and pictures before the run; None if nobody could tell."""
        known = self.facts.get("memory_mb")
        return float(known) if number(known) else None

    @property
    def ended(self) -> str:
        return str(self.done.get("time") or "")

    @property
    def started(self) -> str:
        times = [str(s["time"]) for s in self.starts if s.get("time")]
        return min(times) if times else self.ended

    @property
    def parent(self) -> dict:
        """{'run': id, 'kind', 'checkpoint': step, ...} of what this run goes on from, or {}."""
        for line in self.lineage:
            parent = line.get("parent")
            if isinstance(parent, str):
                parent = {"id": parent}
            if isinstance(parent, Mapping) and (parent.get("id") or parent.get("run")):
                warm = "warm_start" if self.config.get("start_from") else "resume"
                known = {"run": parent.get("id") or parent.get("run"), "kind": warm}
                return known | {"checkpoint": parent.get("step")} | dict(parent)
        return {}

    @property
    def heir(self) -> bool:
        """Does this run go on from another with other settings, on the same curve?"""
        return self.parent.get("kind") in CONTINUED

    @cached_property
    def declared(self) -> Scores:
        """What the scores mean. A run recorded it; of an older one, its task still knows."""
        if "scores" in self.facts:
            return from_json(self.facts["scores"])
        return tasks.scores(str(self.config.get("task")))

    def quantity(self, score: str) -> str | None:
        """The settings that make a score what it is, as text; None where nobody declared it."""
        known = find(score, self.declared)
        if known is None:
            return None
        values = {path: setting(self.config, path) for path in known.depends_on}
        return json.dumps(values, sort_keys=True, default=str)

    @property
    def code(self) -> str:
        """Which code the newest attempt ran, as text that differs if the code does; '' unknown."""
        for line in reversed(self.lineage):
            code, famulus = (line.get(k) or {} for k in ("code", "famulus"))
            if isinstance(code, Mapping) and isinstance(famulus, Mapping) and (code or famulus):
                changes = str(code.get("diff_sha256") or "")[:6]
                parts = [str(code.get("commit") or "")[:10], changes and f"changes {changes}"]
                parts.append(f"famulus {str(famulus.get('sha256') or '?')[:8]}")
                return ", ".join(p for p in parts if p)
        return ""

    def _newest(self, what: str) -> float:
        return max((float(getattr(s, what)[-1]) for s in self.series.values() if len(s)), default=0)


def number(value: Any) -> bool:
    """Is `value` a finite number (no bool)?"""
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    return kind and math.isfinite(value)


def read_run(run: Any) -> Record:
    """Everything the pages show of `run`. A torn or strange event is left out, never an error."""
    config = run.config() or {}
    matrix = dict(config.get("matrix") or {})
    replicate = matrix.pop("replicate", None)
    seed = (config.get("training") or {}).get("seed")
    record = Record(
        run=run,
        id=run.id,
        slug=run.slug,
        experiment=run.experiment,
        config=config,
        status=run.status(),
        done=run.done() or {},
        axes=matrix,
        replicate=replicate if replicate is not None else seed or 0,
        attempts=list(run.attempts()),
        notes=run.notes() or "",
    )
    record.lineage = _lineages(run, len(record.attempts))
    events = list(run.events())
    _facts(record, events)
    record.axes = applying(matrix, config, record.facts)
    _series(record, run.curve() if record.heir else events)
    return record


def _lineages(run: Any, attempts: int) -> list[dict]:
    return [run.lineage(n) for n in range(1, attempts + 1)]


def _facts(record: Record, events: Iterable[dict]) -> None:
    for event in events:
        kind = event.get("kind")
        if kind == "facts":
            record.facts |= {k: v for k, v in event.items() if k != "kind"}
        elif kind == "floor" and number(event.get("value")):
            record.floors.append(event)
        elif kind == "finding":
            record.findings.append(event)
        elif kind == "picture" and event.get("file"):
            record.pictures.append(
                Picture(
                    name=str(event.get("name", "")),
                    file=str(event["file"]),
                    step=int(event.get("step") or 0),
                    inputs=int(event.get("inputs") or 0),
                    labels=tuple(str(x) for x in event.get("labels") or ()),
                    caption=str(event.get("caption") or ""),
                )
            )
        elif kind == "start":
            record.starts.append(event)
        elif kind == "train":
            record.last = event


def _series(record: Record, events: Iterable[dict]) -> None:
    points: dict[str, list[tuple]] = {}
    probes, seconds = [], 0.0  # a probe is written with the log of its step: it has no clock
    for event in events:
        kind = event.get("kind")
        if kind == "mark":
            record.marks.append(event)
        elif kind == "start" and (event.get("step") or 0) > 0:
            record.marks.append(event | {"what": "resumed", "text": "resumed"})
        if kind == "probe":
            probes.append(event)
        elif kind not in ("train", "val"):
            continue
        seconds = event.get("s") or seconds
        at = (event.get("step") or 0, event.get("inputs") or 0, seconds)
        values = {f"{kind}/{k}": v for k, v in (event.get("values") or {}).items()}
        values |= _probed(event) if kind == "probe" else {}
        values |= {k: event[k] for k in ("lr", "rate", "wait", "grad_norm") if k in event}
        for key, value in values.items():
            if number(value):
                points.setdefault(key, []).append((*at, value))
    for key, rows in points.items():
        record.series[key] = Series(*np.asarray(rows, dtype=float).T)
    record.marks = _distinct_marks(record.marks)
    record.layers = read(probes)


def _probed(event: dict) -> dict[str, Any]:
    """What of a probe is a curve of the whole run."""
    rank = event.get("rank") or {}
    values = {f"rank of {rank.get('layer')}": rank["effective"]} if rank.get("effective") else {}
    return values | {"memory (MB)": event["memory_mb"]} if event.get("memory_mb") else values


def _distinct_marks(marks: list[dict]) -> list[dict]:
    """One mark of a kind at a step: a loop's own 'resumed' and its start event are one."""
    seen: dict[tuple, dict] = {}
    for mark in marks:
        key = (mark.get("step"), str(mark.get("what")))
        if key not in seen or len(str(mark.get("text"))) > len(str(seen[key].get("text"))):
            seen[key] = mark
    return list(seen.values())
