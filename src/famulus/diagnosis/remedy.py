"""What to do about a finding: settings of this very run, a line of a loop of one's own, or words.

A rule or a check lists steps. `advise` keeps of each what this run can still change: a setting that
its task has, of a value that the schema takes and that is not in force yet. A run of a file reads
`training.optimizer.lr: 0.0003`, as `--set` takes it; a loop of one's own, which has no file, reads
`Adam(lr=0.0003) at train.py:37`, with the names of its script as far as they are known.

The text is sentences joined by `; or ` (another way) or `; ` (afterwards). One that is a line of
Python is that line, where it stands (` at FILE:LINE`), and why in brackets.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from famulus.config.errors import ConfigError
from famulus.config.experiment import TaskSchema
from famulus.config.refill import refill
from famulus.diagnosis.script import NORMS, Script

# the `task` of a run that a Monitor watched: none of that name exists, nor can it be trained again
OWN_LOOP = "own-loop"
Line = str | Callable[[Script], str]  # Python, perhaps with the names of a script


@dataclass(frozen=True)
class Change:
    """One setting: its path, dotted as in `--set`, and the value to give it."""

    path: str
    value: Any

    def __str__(self) -> str:
        return f"{self.path}: {_yaml(self.value)}"


@dataclass(frozen=True)
class Step:
    """One thing to try.

    ways: settings, each way a few that are changed together; the first that the run can go counts.
    why: said behind it. code: the same in a person's own loop, one line of Python ('' of a script
    that has it already), and where it goes. command: for a run of a file, where no setting does it.
    words: where nothing of that fits. after: not instead of the steps before, but where they did
    not help.
    """

    ways: tuple[tuple[Change, ...], ...] = ()
    why: str = ""
    code: Line = ""
    where: Line = ""
    command: str = ""
    words: str = ""
    after: bool = False


@dataclass(frozen=True)
class Remedy:
    """Words for a person, and the settings named in them."""

    text: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Owner:
    """Whose remedy it is: a run's filled settings, and what they are checked against.

    Without a `schema` (a task that is not at hand), a setting is one that the run has.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    schema: TaskSchema | None = None

    @property
    def is_file(self) -> bool:
        """False for a loop of one's own: it has no file and no settings."""
        return self.config.get("task") != OWN_LOOP

    @property
    def script(self) -> Script:
        """The names of a loop of one's own."""
        return Script(self.config)

    def value(self, path: str, default: Any = None) -> Any:
        """What is in force at a dotted path."""
        here: Any = self.config
        for part in path.split("."):
            if not isinstance(here, Mapping) or part not in here:
                return default
            here = here[part]
        return default if here is None else here

    def open_changes(self, way: Iterable[Change]) -> tuple[Change, ...]:
        """Of changes made together those that are not in force; none if the schema refuses them."""
        if not self.is_file:
            return ()
        fresh = tuple(c for c in way if not self._has(c.path) or self._differs(c))
        before = _refilled(self, ())
        if before is None:  # of no schema, or of another version: what has a key can be set
            known = all(c.path.startswith("training.") or self._has(c.path) for c in fresh)
            return fresh if known else ()
        after = _refilled(self, fresh)
        return fresh if after is not None and after != before else ()

    def in_force(self, way: Iterable[Change]) -> bool:
        """Does the run have all of these settings already?"""
        way = tuple(way)
        if not all(self._has(change.path) for change in way):
            return False
        before = _refilled(self, ())
        same = before is not None and _refilled(self, way) == before
        return same or not any(map(self._differs, way))

    def _has(self, path: str) -> bool:
        return not _missing(self.config, path)

    def _differs(self, change: Change) -> bool:
        held, value = self.value(change.path), change.value
        return type(held) is not type(value) or held != value


NOBODY = Owner()


def setting(path: str, value: Any, **said: Any) -> Step:
    """A step of one setting."""
    return Step(ways=((Change(path, value),),), **said)


def either(*changes: Change, **said: Any) -> Step:
    """A step of one setting, which tasks name differently."""
    return Step(ways=tuple((change,) for change in changes), **said)


def together(*changes: Change, **said: Any) -> Step:
    """A step of settings that only help together."""
    return Step(ways=(changes,), **said)


def advise(owner: Owner, *steps: Step) -> Remedy:
    """Steps that this run can take, one after the other; text is empty if there are none."""
    text = ""
    changes: list[Change] = []
    for step in steps:
        way = next(filter(None, map(owner.open_changes, step.ways)), ())
        way = tuple(change for change in way if change not in changes)
        if owner.is_file:
            sentence = " with ".join(map(str, way))
            if not sentence and not any(map(owner.in_force, step.ways)):
                sentence = step.command or step.words
        else:
            sentence = _said(step.code, owner) if step.code else step.words
        if not sentence:
            continue
        concrete = bool(way) if owner.is_file else bool(step.code)
        where = "" if owner.is_file else _said(step.where, owner)
        beside = ": ".join(filter(None, (where, step.why))) if concrete else ""
        link = "" if not text else "; " if step.after else "; or "
        text += link + (f"{sentence} ({beside})" if beside else sentence)
        changes += way
    return Remedy(text, tuple(changes))


def line(code: Line, where: str = "") -> Step:
    """A line of Python, whoever it is for: what is wrong is in the code."""
    words = code if isinstance(code, str) else ""
    return Step(code=code, where=where, words=words)


# -- steps that several rules take ---------------------------------------------------------------


def learning_rate(rate: float, why: str = "", times: float | None = None, layer: str = "") -> Step:
    """Another learning rate: of a schedule, its peak.

    Of several optimizers the one of `layer`, or each at `times` what it has.
    """
    return setting(
        "training.optimizer.lr",
        rate,
        code=lambda script: script.learning_rates(rate, times, layer),
        why=why,
    )


def clipping(owner: Owner) -> Step:
    """Gradients clipped to norm 1, or to a tenth of the norm that is in force."""
    held = owner.value("training.clip.norm")
    norm = 1.0 if not held else held / 10
    return Step(
        ways=((Change("training.clip", norm),),),
        code=lambda script: (
            f"torch.nn.utils.clip_grad_norm_({script.model}.parameters(), {norm!r})"
        ),
        where="between backward and the step",
    )


def weight_decay() -> Step:
    """Ten times what is in force, of Adam in the form that is no gradient; a loop's own alone."""

    def code(script: Script) -> str:
        own = script.holder()
        if own is None:
            return ""
        name = str(own.get("class") or "")
        held = float(own.get("weight_decay") or 0.0)
        usual = 0.01 if name.startswith("Adam") else 1e-4
        decay = significant(10 * held) if held else usual
        return script.construction(
            f"weight_decay={decay!r}", "AdamW" if name == "Adam" else "", own
        )

    return Step(code=code)


def loader_threads(owner: Owner) -> Step:
    """Four threads that load, or twice as many as there are."""
    count = max(4, 2 * int(owner.value("training.workers", 0)))
    return setting("training.workers", count, code=f"DataLoader(..., num_workers={count})")


def activation(name: str, module: str, why: str = "", layer: str = "") -> Step:
    """Another activation between the layers, or for `layer`; `module`: its class in torch.nn."""

    def code(script: Script) -> str:
        place = script.place(layer)
        return f"{place} = nn.{module}()" if place else f"nn.{module}()"

    def where(script: Script) -> str:
        in_place = f"in the place of {layer}" if layer else "between the layers"
        return "" if script.place(layer) else in_place

    return either(
        Change("model.act", name),
        Change("model.encoder.act", name),
        Change("model.activation", name.replace("_", "-")),
        why=why,
        code=code,
        where=where,
        words=f"{module} between the layers",
    )


def norm(kind: str = "batch", why: str = "") -> Step:
    """A norm between the layers: batch or group; a script that has one is not advised it."""

    def code(script: Script) -> str:
        if script.has(*(NORMS if kind == "batch" else ("GroupNorm", "LayerNorm"))):
            return ""
        return f"nn.{script.norm if kind == 'batch' else 'GroupNorm'}(...)"

    return either(
        Change("model.norm", kind),
        Change("model.encoder.norm", kind),
        why=why,
        code=code,
        where="between the layers",
        words=f"{kind} norm between the layers",
    )


def budget(owner: Owner, samples: int, shown: int, why: str = "", words: str = "") -> Step:
    """Another length of training: `samples` where `shown` were seen, in the file's own unit.

    words: the same of a loop of one's own, whose length no line sets.
    """
    epochs = owner.value("training.epochs")
    if epochs and shown:
        change = Change("training.epochs", significant(epochs * samples / shown, 3))
    else:
        change = Change("training.inputs", samples)
    return either(change, why=why, words=words or f"a run of {samples:,} samples")


def significant(value: float, digits: int = 2) -> float:
    """Rounded, so that what is printed is what is meant."""
    return float(f"{value:.{digits}g}")


# -- inside --------------------------------------------------------------------------------------


def _said(line: Line, owner: Owner) -> str:
    return line if isinstance(line, str) else line(owner.script)


def _missing(config: Mapping[str, Any], path: str) -> bool:
    here: Any = config
    for part in path.split("."):
        if not isinstance(here, Mapping) or part not in here:
            return True
        here = here[part]
    return False


def _refilled(owner: Owner, changes: Iterable[Change]) -> dict[str, Any] | None:
    """The settings with changes, as a file would be filled; None where that is refused."""
    if owner.schema is None:
        return None
    try:
        given = [f"{c.path}={json.dumps(c.value)}" for c in changes]
        return refill(owner.config, given, owner.schema)
    except (ConfigError, LookupError, TypeError):
        return None


def _yaml(value: Any) -> str:
    """As a person writes it in a file."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 10_000 else str(value)
    return repr(value) if isinstance(value, float) else str(value)
