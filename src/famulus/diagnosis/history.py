"""What a rule sees of a run: its settings and the one visible line of events. Pure data."""

from collections.abc import Iterable, Mapping
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

    def last(self, score: str) -> float | None:
        """The score at the last validation."""
        return self.val[-1]["values"].get(score) if self.val else None


def from_events(
    config: Mapping[str, Any], events: Iterable[Event], schema: TaskSchema | None = None
) -> History:
    """Sorts a run's events by kind; unknown kinds are left out."""
    lists = {"floor": "floors", "mark": "marks", "probe": "probes", "control": "controls"}
    kinds: dict[str, list[Event]] = {"train": [], "val": [], **{kind: [] for kind in lists}}
    facts: dict[str, Any] = {}
    for event in events:
        if event["kind"] in kinds:
            kinds[event["kind"]].append(event)
        elif event["kind"] == "facts":
            facts.update(event)
    named: dict[str, Any] = {lists.get(kind, kind): found for kind, found in kinds.items()}
    return History(config, facts=cast(FactsEvent, facts), schema=schema, **named)
