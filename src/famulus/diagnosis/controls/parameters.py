"""Where the weights are: numbers of each layer."""

from collections.abc import Iterator, Mapping

from torch import nn

from famulus.diagnosis.controls import Control
from famulus.diagnosis.controls.bench import Bench, Check

NAME = "parameters"


def parameters(layers: Mapping[str, int], trained: int) -> Control:
    """`layers`: numbers of each module's own, in order."""
    total = sum(layers.values())
    largest = sorted(layers.items(), key=lambda row: -row[1])[:4]
    shown = ", ".join(f"{name} {count:,}" for name, count in largest)
    text = f"{total:,} in {len(layers)} layers, {trained:,} trained; largest: {shown}"
    return Control(NAME, "ok", text, figures={"layers": dict(layers), "trained": trained})


def trained_numbers(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    model = bench.net().model
    own = {
        name or "(itself)": sum(p.numel() for p in module.parameters(recurse=False))
        for name, module in model.named_modules()
    }
    layers = {name: count for name, count in own.items() if count}
    yield parameters(layers, trained_numbers(model))


CHECK = Check(NAME, run, wanted=lambda bench: 0.01)
