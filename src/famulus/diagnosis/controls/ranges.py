"""Is everything in a batch finite, and of a size that nets are made for (K19, K20)?"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from famulus.diagnosis.controls.bench import Bench, Check, Control
from famulus.diagnosis.controls.calls import calls_of

NAME = "range"
LARGE = 30.0  # |mean| + sd of an input: grey values as 0..255 are beyond
SMALL = 1e-3  # sd of an input that hardly differs from a constant


def ranges(batch: Mapping[str, Tensor], called_with: Mapping[str, Tensor]) -> Control:
    """`batch` as a task gets it; `called_with`: the float tensors that the net itself gets."""
    figures = {name: _extent(t) for name, t in batch.items() if t.numel()}
    for name, extent in figures.items():
        if not extent["finite"]:
            text = f"{name} holds numbers that are not finite"
            remedy = "find the sample and repair or leave it out"
            return Control(NAME, "failed", text, remedy, figures, "input-out-of-range")
    inputs = []
    for name, value in called_with.items():
        mask = bool((value == 1).all())  # that leaves nothing out
        if not value.numel() or value.ndim < 2 or mask:  # a number a sample is a condition
            continue
        extent = figures[f"net {name}"] = _extent(value)
        size = abs(extent["mean"]) + extent["sd"]
        inputs.append(f"{name} {extent['min']:.4g} to {extent['max']:.4g}, sd {extent['sd']:.3g}")
        if not extent["finite"] or size > LARGE or extent["sd"] < SMALL:
            text = f"the net is called with {inputs[-1]}: nets start from inputs of mean 0 and sd 1"
            remedy = "scale the input: divide by its range, or subtract the mean, over the sd"
            return Control(NAME, "failed", text, remedy, figures, "input-out-of-range")
    shown = inputs or [f"{n} {e['min']:.4g} to {e['max']:.4g}" for n, e in figures.items()]
    return Control(NAME, "ok", f"all finite; {'; '.join(shown[:3])}", figures=figures)


def _extent(value: Tensor) -> dict[str, float | bool]:
    v = value.detach().double()
    v = v.abs() if v.is_complex() else v
    finite = bool(torch.isfinite(v).all())
    v = v if finite else v[torch.isfinite(v)]
    v = v if v.numel() else v.new_zeros(1)
    sizes = {"min": v.min(), "max": v.max(), "mean": v.mean(), "sd": v.std(correction=0)}
    return {name: float(size) for name, size in sizes.items()} | {"finite": finite}


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    calls = calls_of(bench.net(), bench.frozen)
    count = len(bench.frozen["index"])
    floats = [a for call in calls[:1] for a in call.arguments if a.is_floating_point()]
    inputs = {f"input {i + 1}": a for i, a in enumerate(a for a in floats if len(a) >= count)}
    yield ranges({k: v for k, v in bench.frozen.items() if k != "index"}, inputs)


CHECK = Check(NAME, run, wanted=lambda bench: 0.1)
