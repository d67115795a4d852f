"""What probes saw of a run's layers, as arrays; and where the layers of two runs differ much.

Shapes: P samples, L layers. NaN stands for what was not measured.
Units: gradients and updates root mean squares; shares from 0 to 1.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST = 48  # samples that are kept
MEASURED = ("weight", "grad", "update", "mean", "std", "zeros", "dead", "saturated", "calls")
FLAGS = ("moved", "trainable", "held")
FACTOR = 10.0  # between two runs' gradients, updates or outputs: much
SHARE = 0.25  # between two runs' shares of dead or saturated units: much


@dataclass(frozen=True)
class LayerHistory:
    """The layers of the newest sample, over all samples that are kept."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    numbers: tuple[int, ...]  # parameters
    more: int  # layers that the probe left out
    step: np.ndarray  # P
    values: Mapping[str, np.ndarray]  # key -> PL; a flag is 0 or 1

    @property
    def ratio(self) -> np.ndarray:
        """PL: size of an update over that of the weights."""
        weight = self.values["weight"]
        return np.divide(
            self.values["update"], weight, out=np.full(weight.shape, np.nan), where=weight > 0
        )

    def trouble(self, layer: int, sample: int = -1) -> str:
        """Why a layer with weights has no update, in a word or two; '' where it has one."""
        if not self.numbers[layer]:
            return ""
        flags = {key: self.values[key][sample, layer] for key in FLAGS}
        if flags["trainable"] == 0:
            return "frozen"
        if flags["held"] == 0:
            return "not in the optimizer"
        if np.isnan(self.values["grad"][sample, layer]):
            return "no gradient"
        return "does not move" if flags["moved"] == 0 else ""


def read(events: Sequence[Mapping[str, Any]]) -> LayerHistory | None:
    """From `probe` events, oldest first; None without any. Strange entries are left out."""
    events = [e for e in events if isinstance(e.get("layers"), list) and e["layers"]]
    if not events:
        return None
    # evenly over the run: a long one has thousands
    kept = np.unique(np.linspace(0, len(events) - 1, min(MOST, len(events))).round().astype(int))
    # the newest sample's layers: a net that grows has more of them than at first
    last = [layer for layer in events[-1]["layers"] if isinstance(layer, dict) and "name" in layer]
    names = tuple(str(layer["name"]) for layer in last)
    # NaN, not 0: what was not measured must not look dead
    values = {k: np.full((len(kept), len(names)), np.nan) for k in (*MEASURED, *FLAGS)}
    for row, number in enumerate(kept):
        found = {str(e.get("name")): e for e in events[number]["layers"] if isinstance(e, dict)}
        for column, name in enumerate(names):
            for key, array in values.items():
                value = found.get(name, {}).get(key)
                if isinstance(value, int | float):
                    array[row, column] = value
    return LayerHistory(
        names,
        tuple(str(layer.get("type") or "") for layer in last),
        tuple(int(layer.get("numbers") or 0) for layer in last),
        int(events[-1].get("more") or 0),
        np.array([int(events[n].get("step") or 0) for n in kept]),
        values,
    )


def common_samples(runs: Sequence[LayerHistory]) -> list[int]:
    """Of each, that of the newest step which all have; where they share none, the newest."""
    shared = set.intersection(*(set(run.step.tolist()) for run in runs))
    if not shared:
        return [-1] * len(runs)
    return [int(np.flatnonzero(run.step == max(shared))[-1]) for run in runs]


def much(values: Iterable[float | None], share: bool) -> str:
    """How far values lie apart, where that is much: 'x 31', '0.02 to 0.5'; else ''."""
    known = [v for v in values if v is not None and np.isfinite(v)]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    if share:
        return f"{low:.2g} to {high:.2g}" if high - low >= SHARE else ""
    if low <= 0:
        return "0 in one" if high > 0 else ""
    return f"x {high / low:.3g}" if high / low >= FACTOR else ""
