"""Where the weights are: numbers of each layer."""

from collections.abc import Iterator

from torch import nn

from famulus.diagnosis.controls.bench import Bench, Check, Control

NAME = "parameters"


def trained_numbers(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    model = bench.net().model
    own = {
        name or "(itself)": sum(p.numel() for p in module.parameters(recurse=False))
        for name, module in model.named_modules()
    }
    layers, trained = {name: count for name, count in own.items() if count}, trained_numbers(model)
    largest = sorted(layers.items(), key=lambda row: -row[1])[:4]
    shown = ", ".join(f"{name} {count:,}" for name, count in largest)
    total = f"{sum(layers.values()):,} in {len(layers)} layers"
    text = f"{total}, {trained:,} trained; largest: {shown}"
    yield Control(NAME, "ok", text, figures={"layers": layers, "trained": trained})


CHECK = Check(NAME, run, wanted=lambda bench: 0.01)
