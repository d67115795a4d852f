"""What a batch size costs: memory and speed at several, and where the weights are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from famulus.diagnosis.controls import Control


@dataclass(frozen=True)
class Size:
    """One batch size. `memory_mb`: tensors kept for the backward pass, or the device's peak."""

    batch: int
    inputs_per_s: float
    memory_mb: float
    power_w: float | None = None


def batch_sizes(rows: Sequence[Size], configured: int, power: str) -> Control:
    """`power` says why there is none, where there is none."""
    told = []
    for row in rows:
        watt = "" if row.power_w is None else f", {row.power_w:.0f} W"
        told.append(f"{row.batch}: {row.inputs_per_s:,.0f}/s, {row.memory_mb:,.1f} MB{watt}")
    best = max(rows, key=lambda row: row.inputs_per_s)
    own = min(rows, key=lambda row: abs(row.batch - configured))
    gain = best.inputs_per_s / own.inputs_per_s
    figures = {"rows": [asdict(row) for row in rows], "configured": configured, "gain": gain}
    text = f"batch x speed x memory: {'; '.join(told)}; power: {power}"
    return Control("batch sizes", "ok", text, figures=figures)


def parameters(layers: Mapping[str, int], trained: int) -> Control:
    """`layers`: numbers of each module's own, in order."""
    total = sum(layers.values())
    largest = sorted(layers.items(), key=lambda row: -row[1])[:4]
    shown = ", ".join(f"{name} {count:,}" for name, count in largest)
    text = f"{total:,} in {len(layers)} layers, {trained:,} trained; largest: {shown}"
    return Control("parameters", "ok", text, figures={"layers": dict(layers), "trained": trained})


def workers(speeds: Mapping[int, float]) -> Control:
    """Inputs a second that the loader alone gives with so many threads."""
    told = ", ".join(f"{count}: {speed:,.0f}/s" for count, speed in speeds.items())
    best = max(speeds, key=lambda count: speeds[count])
    figures = {"speeds": {str(k): v for k, v in speeds.items()}, "best": best}
    return Control("loader threads", "ok", f"{told}; best {best}", figures=figures)
