"""What one run did, read from the store once: curves, scores, findings, pictures, provenance."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from famulus import tasks
from famulus.config.scores import Scores, find, from_json
from famulus.diagnosis.learning import Learning, learning, phase
from famulus.journal.facts.curves import Event, Series
from famulus.journal.facts.layers import LayerHistory
from famulus.journal.facts.numbers import JSON, finite, number
from famulus.journal.facts.unused_axes import setting
from famulus.store import records
from famulus.store.run import CONTINUED, Run, died


@dataclass(frozen=True)
class PictureFile:
    """One picture at one time: labelled rows of equal height."""

    name: str
    file: str
    step: int
    inputs: int
    labels: tuple[str, ...]
    caption: str
    classes: tuple[str, ...] = ()  # of a confusion
    counts: tuple[tuple[int, ...], ...] = ()  # true, answered


@dataclass(frozen=True, eq=False)
class Record:
    """The facts of one run."""

    run: Run
    id: str
    slug: str
    experiment: str
    config: Event
    status: str
    done: Event
    axes: dict[str, JSON]
    replicate: int
    facts: Event = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)  # "train/total", "val/loss", "lr", ...
    marks: tuple[Event, ...] = ()
    floors: tuple[Event, ...] = ()
    findings: tuple[Event, ...] = ()
    pictures: tuple[PictureFile, ...] = ()
    attempts: tuple[Event, ...] = ()
    lineage: tuple[Event, ...] = ()  # of each attempt, {} where none was recorded
    parent: Event = field(default_factory=dict)  # run (its id), kind, checkpoint (its step), ...
    notes: str = ""
    last: Event = field(default_factory=dict)  # the newest train event
    layers: LayerHistory | None = None  # what probes saw

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
        known = finite(self.ending.get("seconds"))
        if known is not None:
            return known
        return max(self._newest("seconds"), self._until_error) or None

    @property
    def _until_error(self) -> float:
        """Seconds until an error ended a run of which 0.1.0 recorded none: logs end before it."""
        last = self.attempts[-1] if self.attempts else {}
        begun, ended = last.get("time"), last.get("ended_time")
        if last.get("ended") != "error" or not begun or not ended:
            return 0.0
        start = last.get("start_from") or 0
        before = (s.seconds[s.step <= start] for s in self.series.values())
        resumed_at = max((float(s[-1]) for s in before if len(s)), default=0.0)
        return resumed_at + max(records.seconds(ended) - records.seconds(begun), 0.0)

    @property
    def own_seconds(self) -> float:
        """Without the time of the run that this one goes on from; 0 where nothing is known."""
        return max((self.seconds or 0.0) - self.inherited_seconds, 0.0)

    @property
    def inherited_seconds(self) -> float:
        """Of the run that this one goes on from, which `seconds` counts too."""
        return self._inherited("seconds")

    @property
    def own_energy_wh(self) -> float:
        """Without the energy of the run that this one goes on from; 0 where it is not known."""
        return max((self.energy_wh or 0.0) - self._inherited("energy_wh"), 0.0)

    def _inherited(self, what: str) -> float:
        inherited = self.facts.get("inherited")
        return finite(inherited.get(what) if isinstance(inherited, Mapping) else None) or 0.0

    @property
    def rate(self) -> float | None:
        """Inputs a second of training."""
        return finite(self.done.get("rate") or self.last.get("rate"))

    @property
    def energy_wh(self) -> float | None:
        """Of the whole device that trained, over all attempts; None where it was not measured."""
        known = finite(self.done.get("energy_wh"))
        # a meter that never moved is none
        return known if known and known > 0 else None

    @property
    def watts(self) -> float | None:
        """Power of the device: the mean of a run that is done, else what was last seen."""
        return finite((self.done or self.last).get("watts"))

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
        peaks = [v for v in [self.rehearsed_mb] if v]
        if (series := self.series.get("memory (MB)")) is not None:
            peaks.append(float(series.value.max()))
        return max(peaks, default=None)

    @property
    def rehearsed_mb(self) -> float | None:
        """Peak of the steps, validation and pictures before the run; None if nobody could tell."""
        return finite(self.facts.get("memory_mb"))

    @property
    def ending(self) -> Event:
        """How it ended, with the keys of done.json: what its newest attempt says where there is
        none; {} of a run under way."""
        if self.done or self.status == "running" or not self.attempts:
            return self.done
        last = self.attempts[-1]
        untold = {None: died(last), "error": "an error of which the store has no text"}
        why = last.get("why") or untold.get(last.get("ended"), "")
        known = {"reason": why, "time": last.get("ended_time")}
        return known | {key: last[key] for key in ("error", "seconds") if key in last}

    @property
    def ended(self) -> str:
        """When it was over, as far as anything says so; '' of a run under way."""
        return str(self.ending.get("time") or "")

    @property
    def reason(self) -> str:
        """Why it failed, stopped early or was interrupted, with the exception's type and line."""
        words, error = str(self.ending.get("reason") or ""), self.ending.get("error")
        if not isinstance(error, Mapping):
            return words
        kind, at = (str(error.get(k) or "") for k in ("type", "at"))
        words = words if kind in words else ": ".join(w for w in (kind, words) if w)
        return f"{words} (at {at})" if at else words

    @property
    def started(self) -> str:
        """Of the first attempt; before one, and where its file is damaged, the end."""
        return str(self.attempts[0].get("time") or self.ended) if self.attempts else self.ended

    @property
    def heir(self) -> bool:
        """Does this run go on from another with other settings, on the same curve?"""
        return self.parent.get("kind") in CONTINUED

    @property
    def repeats(self) -> str:
        """Id of the run that this one repeats, from the same settings; '' if it repeats none."""
        origin = self.config.get("origin") or {}
        return str(origin.get("run") or "") if origin.get("kind") == "rerun" else ""

    @property
    def leaks(self) -> list[str]:
        """Notes on the data by which validation scores flatter."""
        known = self.facts.get("leaks")
        if known is None:  # 0.1.0 knew them by their words alone
            notes = self.facts.get("data_notes") or ()
            return [str(n) for n in notes if str(n).endswith("scores may flatter")]
        return [str(note) for note in known]

    @property
    def copies(self) -> list[str]:
        """Notes on validation samples that are in training, too, however few."""
        known = self.facts.get("copies")
        if known is None:  # older stores knew them by their words alone
            notes = self.facts.get("data_notes") or ()
            return [str(n) for n in notes if n in self.leaks or "also in training" in str(n)]
        return [str(note) for note in known]

    @cached_property
    def learning(self) -> Learning:
        """What its last scores say that it has learned."""
        samples, batches = self.facts.get("validation_samples"), self.last.get("values")
        steps: int | None = None
        before: dict[str, float] = {}
        for name, series in self.series.items():
            if name.startswith("val/") and len(series):
                steps, half = phase(series.step.astype(int).tolist(), self.marks)
                before |= {} if half is None else {name: float(series.value[half])}
        return learning(self.scores, self.floors, self.declared, samples, batches, before, steps)

    @cached_property
    def declared(self) -> Scores:
        """What the scores mean. A run recorded it; of an older one, its task still knows."""
        if "scores" in self.facts:
            return from_json(self.facts["scores"])
        return tasks.scores(str(self.config.get("task")))

    def floors_of(self, score: str) -> list[Event]:
        """Floors under a score; not the loss that the net itself begins with."""
        name = score.removeprefix("val/")
        floors = [f for f in self.floors if str(f.get("score")).removeprefix("val/") == name]
        return [f for f in floors if f.get("means") != "initial loss"]

    def quantity(self, score: str) -> str | None:
        """The settings that make a score what it is, as text; None where nobody declared it."""
        known = find(score, self.declared)
        if known is None:
            return None
        values = {path: setting(self.config, path) for path in known.depends_on}
        return json.dumps(values, sort_keys=True, default=str)

    @property
    def newest(self) -> Event:
        """What the newest attempt that recorded it was made of: command, machine, code, ..."""
        return next((line for line in reversed(self.lineage) if line), {})

    @property
    def code(self) -> str:
        """Where the newest attempt's code came from, for people; '' unknown."""
        for line in reversed(self.lineage):
            code, famulus = (line.get(k) or {} for k in ("code", "famulus"))
            if isinstance(code, Mapping) and isinstance(famulus, Mapping) and (code or famulus):
                changes = str(code.get("diff_sha256") or "")[:6]
                parts = [str(code.get("commit") or "")[:10], changes and f"changes {changes}"]
                parts.append(f"famulus {str(famulus.get('sha256') or '?')[:8]}")
                return ", ".join(p for p in parts if p)
        return ""

    def same_code(self, other: "Record") -> bool:
        """Whether both ran the same code, by its content: folders and commits prove nothing."""
        pairs = zip(self._digests, other._digests, strict=True)
        # what one of the two did not record is not known to differ
        return all(a == b or not a or not b for a, b in pairs)

    @property
    def _digests(self) -> list[str]:
        """SHA-256 of Famulus, and of the person's own task or script; '' where not recorded."""
        sources = (self.newest.get(key) for key in ("famulus", "own"))
        return [str(s.get("sha256") or "") if isinstance(s, Mapping) else "" for s in sources]

    def _newest(self, what: str) -> float:
        return max((float(getattr(s, what)[-1]) for s in self.series.values() if len(s)), default=0)
