"""Is validation a function of the weights alone, in eval mode, leaving no trace (K4)?"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from famulus.diagnosis.controls.bench import Bench, Check, Control, updates

NAME = "validation"
DRAWN = 0.02  # relative difference that sampled noise may make
Scores = Mapping[str, float]
MODES = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def validation(first: Scores, second: Scores, training: list[str], changed: list[str]) -> Control:
    """Scores of two validations under different random numbers.

    `training`: modules that ran in training mode though they behave otherwise there; `changed`:
    buffers and weights that validating has changed.
    """
    gaps = {
        name: abs(first[name] - second[name]) / max(abs(first[name]), abs(second[name]), 1e-12)
        for name in first
        # NaN differs from itself without anything having changed.
        if first[name] == first[name] and first[name] != second.get(name)
    }
    figures = {"training": training[:8], "changed": changed[:8], "gaps": gaps}
    verdict, text, remedy = "ok", "two validations are equal, in eval mode", ""
    if training:
        verdict, text = "failed", f"{training[0]} runs in training mode while validating"
        remedy = "call the net that is handed to scores, in the mode that it has"
    elif changed:
        verdict, text = "failed", f"validating changes {changed[0]}"
        remedy = "validate in eval mode and without side effects"
    elif gaps:
        name = max(gaps, key=lambda n: gaps[n])
        text = f"two validations of the same weights: {name} differs by {gaps[name]:.1%}"
        if gaps[name] > DRAWN:
            verdict = "warning"
            remedy = "draw validation's noise from the sample's index, not anew each time"
        else:
            text += ": noise that is drawn"
    return Control(NAME, verdict, text, remedy, figures, "train-eval-gap" if remedy else "")


@torch.no_grad()
def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    model = bench.net().model.eval()
    names = {id(m): n for n, m in model.named_modules()}
    wrong: list[str] = []

    def look(module: nn.Module, args: tuple) -> None:
        if module.training and id(module) in names:  # a task may judge a copy in training mode
            wrong.append(names[id(module)])

    modal = [m for m in model.modules() if isinstance(m, MODES)]
    handles = [m.register_forward_pre_hook(look) for m in modal]
    tensors: dict[str, Tensor] = dict(model.named_parameters())
    tensors |= {f"{names[id(m)]}.{n}": b for m in modal for n, b in m.named_buffers()}
    before = {n: t.clone() for n, t in tensors.items()}
    try:
        first, second = bench.scores(model, 0), bench.scores(model, 1)
    finally:
        for handle in handles:
            handle.remove()
    changed = [n for n, t in tensors.items() if not torch.equal(t, before[n])]
    yield validation(first, second, wrong, changed)


CHECK = Check(NAME, run, wanted=updates(4))
