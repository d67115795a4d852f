"""A forecast beside each running cell, renewed after each validation."""

from collections.abc import Iterable, Mapping
from typing import Any

from famulus.diagnosis.forecast import Refusal
from famulus.diagnosis.foresee import foresee
from famulus.training.loop import Status


class Foresight:
    """Collects a run's curves as the loop shows them; `text` is '' while nothing can be said."""

    def __init__(self, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        self.config, self.facts = config, facts
        self.val: list[tuple[float, float]] = []
        self.train: list[tuple[float, float]] = []
        self.seen: dict[str, float] = {}
        self.before = 0  # inputs at the last status: validations lie between two of them
        self.text = ""

    def remember(self, events: Iterable[Mapping[str, Any]]) -> None:
        """What earlier attempts have measured."""
        for event in events:
            value = (event.get("values") or {}).get("loss" if event["kind"] == "val" else "total")
            if value is not None and event["kind"] in ("val", "train"):
                curve = self.val if event["kind"] == "val" else self.train
                curve.append((event["inputs"], value))

    def follow(self, status: Status) -> str:
        """The words for now: 'ends near 0.031 (0.028 to 0.036)'."""
        at = status.progress
        if "total" in status.values:
            self.train.append((at.inputs, status.values["total"]))
        new = at.scores != self.seen and "val/loss" in at.scores
        if new:
            self.seen = dict(at.scores)
            self.val.append((self.before or at.inputs, at.scores["val/loss"]))
            found = foresee(self.config, self.facts, self.val, self.train)
            self.text = (
                ""
                if isinstance(found, Refusal)
                else f"ends near {found.value:.3g} ({found.low:.3g} to {found.high:.3g})"
            )
        self.before = at.inputs
        return self.text
