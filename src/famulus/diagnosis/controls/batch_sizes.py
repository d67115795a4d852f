"""What a batch size costs: memory and speed at several, and the GPU's power."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from famulus.diagnosis.controls.bench import Bench, Check, Control, updates
from famulus.diagnosis.controls.samples import spread

NAME = "batch sizes"


@dataclass(frozen=True)
class Size:
    """One batch size. `memory_mb`: tensors kept for the backward pass, or the device's peak."""

    batch: int
    inputs_per_s: float
    memory_mb: float
    power_w: float | None = None

    def __str__(self) -> str:
        watt = "" if self.power_w is None else f", {self.power_w:.0f} W"
        return f"{self.batch}: {self.inputs_per_s:,.0f}/s, {self.memory_mb:,.1f} MB{watt}"


def sizes(bench: Bench, limit_s: float) -> Iterator[Size]:
    """A quarter, half, one, two and four times the configured batch, while there is time, and as
    far as twice what the net keeps for its backward pass fits into the memory that is left."""
    own, began, bytes_a_sample = bench.training.batch, time.monotonic(), 0.0
    # Once each: a quarter and a half of a small batch are the same.
    for batch in dict.fromkeys((max(1, own // 4), max(1, own // 2), own, 2 * own, 4 * own)):
        if batch > len(bench.data.train) or time.monotonic() - began > limit_s:
            return
        room = bench.room()
        if room is not None and 2 * bytes_a_sample * batch > room:
            return
        size = _size(bench, batch)
        bytes_a_sample = size.memory_mb * 1e6 / batch
        yield size


def _size(bench: Bench, count: int) -> Size:
    net, device = bench.net(), bench.device
    batch = spread(bench.data.train, count, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        # By storage: views of one tensor take its memory once.
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        net.step(batch)
    inputs_per_s = count / bench.seconds(net, batch)
    if device.type != "cuda":
        return Size(count, inputs_per_s, sum(kept.values()) / 1e6)
    return Size(count, inputs_per_s, torch.cuda.max_memory_allocated(device) / 1e6, power_w())


def power_w() -> float | None:
    """What the first GPU draws now, by nvidia-smi; None without one."""
    words = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(words, capture_output=True, text=True, timeout=5, check=True)
        return float(done.stdout.split()[0])
    return None


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    rows, configured = list(sizes(bench, limit_s)), bench.training.batch
    if not rows:
        yield Control(NAME, "skipped", "training has too few samples for a quarter of a batch")
        return
    best = max(rows, key=lambda row: row.inputs_per_s)
    own = min(rows, key=lambda row: abs(row.batch - configured))
    gain = best.inputs_per_s / own.inputs_per_s
    figures = {"rows": [asdict(row) for row in rows], "configured": configured, "gain": gain}
    power = "as nvidia-smi says" if any(row.power_w for row in rows) else "no GPU to ask"
    text = f"batch x speed x memory: {'; '.join(map(str, rows))}; power: {power}"
    yield Control(NAME, "ok", text, figures=figures)


CHECK = Check(NAME, run, wanted=updates(24), least=updates(4))
