"""What a rule sees of a run: its settings and the one visible line of events. Pure data.

Events come from other versions, other people's loops and damaged files: `from_events` leaves out
what is null or of another kind than its event says, and whole events that lack what makes them one.
A rule may rely on what `NEEDED` names, and asks for all else.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from famulus.config.experiment import TaskSchema
from famulus.diagnosis.remedy import Change, Owner
from famulus.store.event_kinds import (
    ControlEvent,
    FactsEvent,
    FloorEvent,
    MarkEvent,
    ProbeEvent,
    TrainEvent,
    ValEvent,
)

Event = Mapping[str, Any]  # of any kind, as it was read


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


# What makes an event one of its kind.
NEEDED: dict[str, dict[str, Callable[[Any], bool]]] = {
    "train": {"step": _number, "inputs": _number, "values": _mapping},
    "val": {"step": _number, "inputs": _number, "values": _mapping},
    "floor": {"score": _text, "means": _text, "value": _number},
    "mark": {"step": _number, "what": _text},
    "probe": {"step": _number, "layers": lambda value: isinstance(value, list)},
    "control": {"name": _text, "verdict": _text},
}
LAYER = {"name": _text, "type": _text, "numbers": _number}
INSIDE: dict[str, dict[str, Callable[[Any], bool]]] = {  # what a probe may have seen of a net
    "code": {"kl": _number, "sigma": _number, "active": _number, "code": _number},
    "codebook": {"perplexity": _number, "used": _number, "vectors": _number},
    "end": {"cosine": _number, "spread": _number, "of": _number},
    "features": {"cosine": _number, "spread": _number, "of": _number},
}
PASSES: dict[str, dict[str, Callable[[Any], bool]]] = {  # of a loop's step, what is a mapping
    "norm": {"name": _text, "type": _text, "values": _number, "samples": _number},
    "dropout": {"name": _text, "type": _text, "p": _number},
}
# of a tensor of the batch
EXTREMES = {"min": _number, "max": _number}


@dataclass(frozen=True)
class Finding:
    """A verdict with evidence.

    remedy: what to do, as this person can do it (`diagnosis.remedy`); changes: the settings that it
    names, each to be tried.
    """

    cause: str  # a name of `famulus causes`
    severity: str  # info | warning | error
    evidence: str  # figures and steps
    remedy: str
    step: int | None = None
    consequences: tuple[str, ...] = ()  # causes that this one explains
    under: str = ""  # the root cause that explains this one, where there is one
    changes: tuple[Change, ...] = ()

    def event(self) -> dict[str, Any]:
        return {"kind": "finding", **asdict(self)}


@dataclass(frozen=True)
class History:
    """One run, as its events tell it. `schema`: its task's, which remedies are checked against."""

    config: Mapping[str, Any]
    train: list[TrainEvent] = field(default_factory=list)
    val: list[ValEvent] = field(default_factory=list)
    floors: list[FloorEvent] = field(default_factory=list)
    marks: list[MarkEvent] = field(default_factory=list)
    facts: FactsEvent = field(default_factory=FactsEvent)  # the newest of each
    probes: list[ProbeEvent] = field(default_factory=list)  # layers at sampled steps
    controls: list[ControlEvent] = field(default_factory=list)  # what `famulus check` found
    schema: TaskSchema | None = None

    @property
    def owner(self) -> Owner:
        """Whose remedies they are."""
        return Owner(self.config, self.schema)

    def floor(self, score: str, means: str) -> float | None:
        """The floor of `score` with this meaning, if the task states one."""
        for event in self.floors:
            if event["score"] == score and event["means"] == means:
                return float(event["value"])
        return None

    @property
    def opposed(self) -> bool:
        """Do several optimizers pull at the loss, as in a GAN? Then that it stands is no sign."""
        several = self.owner.value("training.optimizers", ())
        return isinstance(several, list) and len(several) > 1

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of the settings; {} without one."""
        value = self.config.get(name)
        return value if isinstance(value, Mapping) else {}

    def last(self, score: str) -> float | None:
        """The score at the last validation."""
        return self.val[-1]["values"].get(score) if self.val else None


def from_events(
    config: Mapping[str, Any], events: Iterable[Event], schema: TaskSchema | None = None
) -> History:
    """Sorts a run's events by kind; unknown kinds and what is damaged are left out."""
    lists = {"floor": "floors", "mark": "marks", "probe": "probes", "control": "controls"}
    kinds: dict[str, list[Event]] = {kind: [] for kind in NEEDED}
    facts: dict[str, Any] = {}
    for event in events:
        kind = event.get("kind")
        if kind == "facts":
            facts.update(_known(event))
        elif kind in kinds and _is(event, NEEDED[kind]):
            kinds[kind].append(_whole(event))
    named: dict[str, Any] = {lists.get(kind, kind): found for kind, found in kinds.items()}
    return History(config, facts=cast(FactsEvent, facts), schema=schema, **named)


def _is(value: Any, needed: Mapping[str, Callable[[Any], bool]]) -> bool:
    """Does it hold all of that?"""
    return isinstance(value, Mapping) and all(known(value.get(k)) for k, known in needed.items())


def _present(event: Event) -> dict[str, Any]:
    return {key: value for key, value in event.items() if value is not None}


def _known(value: Any) -> Any:
    """Without what is null, however deep."""
    if not isinstance(value, Mapping):
        return value
    return {key: _known(inner) for key, inner in value.items() if inner is not None}


def _whole(event: Event) -> Event:
    """Without what is null, and of its parts those alone that are what they should be."""
    whole = _present(event)
    if "values" in whole:
        whole["values"] = {k: v for k, v in whole["values"].items() if _number(v)}
    if "layers" in whole:
        whole["layers"] = [layer for layer in whole["layers"] if _is(layer, LAYER)]
        batch = whole.get("batch")
        tensors = batch.items() if isinstance(batch, Mapping) else ()
        whole["batch"] = {name: t for name, t in tensors if _is(t, EXTREMES)}
        for name, needed in INSIDE.items():
            if not _is(whole.get(name), needed):
                whole.pop(name, None)
        if "loop" in whole:
            whole["loop"] = _passes(whole["loop"])
    if isinstance(whole.get("forms"), Mapping):
        # a loss that was not recognised is null, which says something
        known = whole["forms"].items()
        whole["forms"] = {k: v for k, v in known if v is not None or k in ("loss", "factor")}
    return whole


def _passes(loop: Any) -> dict[str, Any]:
    """What `probes.passes` tells of a step, without what is not as it should be."""
    whole = _present(loop) if isinstance(loop, Mapping) else {}
    for key, needed in PASSES.items():
        if not _is(whole.get(key), needed):
            whole.pop(key, None)
    for key, kind in (("order", _text), ("modes", _boolean), ("gradients", _mapping)):
        value = whole.pop(key, None)
        if isinstance(value, list) and all(map(kind, value)):
            whole[key] = value
    norms = whole.pop("gradients", ())
    whole["gradients"] = [{k: v for k, v in one.items() if _number(v)} for one in norms]
    if not _boolean(whole.get("training")):
        whole.pop("training", None)
    return whole
