"""A forecast beside each running cell, renewed after each validation."""

from collections.abc import Iterable, Mapping
from typing import Any

from famulus.diagnosis.foresight.forecast import Refusal
from famulus.diagnosis.foresight.run_forecast import foresee, shape_of
from famulus.store.run import Run
from famulus.training.loop import Status


class Foresight:
    """Collects a run's curves as the loop shows them; `text` is '' while nothing can be said."""

    def __init__(self, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        self.config, self.facts = config, facts
        self.val: list[tuple[float, float]] = []
        self.train: list[tuple[float, float]] = []
        self.before = 0  # inputs at the last status: validations lie between two of them
        self.text = ""
        self.run: Run | None = None
        self.floors: list[Mapping[str, Any]] | None = None  # None: not read yet

    def claimed(self, run: Run) -> None:
        """Goes on from what earlier attempts have recorded."""
        self.run = run
        self.remember(run.curve())

    def remember(self, events: Iterable[Mapping[str, Any]]) -> None:
        """What earlier attempts have measured, in the place of what was known before."""
        self.val, self.train, floors = [], [], []
        for event in events:
            if event["kind"] == "val" and "loss" in event["values"]:
                self.val.append((event["inputs"], event["values"]["loss"]))
            elif event["kind"] == "train" and (value := shape_of(event["values"])) is not None:
                self.train.append((event["inputs"], value))
            elif event["kind"] == "floor":
                floors.append(event)
        if self.train:  # floors are recorded before the first step
            self.floors = floors

    def _read_floors(self) -> list[Mapping[str, Any]]:
        if self.floors is None and self.run is not None:
            events = list(self.run.curve())
            if any(event["kind"] == "train" for event in events):
                self.floors = [event for event in events if event["kind"] == "floor"]
        return self.floors or []

    def follow(self, status: Status) -> str:
        """The words for now: 'ends near 0.031 (0.028 to 0.036)'."""
        at = status.progress
        if (value := shape_of(status.values)) is not None:
            self.train.append((at.inputs, value))
        score = at.scores.get("val/loss")
        # Every status repeats the last validation: another value is a new one.
        if score is not None and (not self.val or self.val[-1][1] != score):
            self.val.append((self.before or at.inputs, score))
            found = foresee(
                self.config, self.facts, self.val, self.train, floors=self._read_floors()
            )
            self.text = (
                ""
                if isinstance(found, Refusal)
                else f"ends near {found.value:.3g} ({found.low:.3g} to {found.high:.3g})"
            )
        self.before = at.inputs
        return self.text
