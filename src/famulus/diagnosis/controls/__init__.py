"""Experiments on the experiment: short runs that must come out one way if all is well.

A control is handed what it needs as functions; it imports neither the loop nor the store.
"""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Control:
    """What one control found. `verdict`: ok | warning | failed | skipped."""

    name: str
    verdict: str
    text: str  # a sentence with figures
    remedy: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    cause: str = ""  # name from the list of causes, where it failed

    def json(self) -> dict[str, Any]:
        return asdict(self)

    def event(self) -> dict[str, Any]:
        return {"kind": "control", **self.json()}
