"""Experiments on the experiment: short runs that must come out one way if all is well.

A file a control of `famulus check`: what it measures on a `Bench` (`bench.py`), how that is judged,
and its `CHECK`. `order.py` lists them. `trials.py` is what a `Monitor` does after a run.
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
