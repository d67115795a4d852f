"""What nothing-learned scores, beside what the untrained net scores (K1, K2)."""

import math
from collections.abc import Iterator

import torch

from famulus.diagnosis.controls.bench import Bench, Check, Control
from famulus.diagnosis.figures import baseline

TIMES = 3.0  # theory times this, or over this, is off: random nets are near it, not on it
LEAST = 1.0  # of a theory near 0: in its own unit


def initial_loss(score: str, theory: float, measured: float) -> Control:
    """The untrained net's loss against the closed form that the task states."""
    name, figures = "initial loss", {"theory": theory, "measured": measured}
    text = f"{score} of the untrained model {measured:.4g}, in theory {theory:.4g}"
    if not math.isfinite(measured):
        remedy = "look at the range of the inputs, and for a log or a root of 0 in the loss"
        return Control(name, "failed", text, remedy, figures, "loss-not-finite")
    high = abs(theory) * TIMES if theory > 0 else theory + LEAST
    low = theory / TIMES if theory > 0 else theory - LEAST * max(1.0, abs(theory))
    if low <= measured <= high or abs(measured - theory) < 1e-6:
        return Control(name, "ok", text, figures=figures)
    figures["ratio"] = measured / theory if theory else math.inf
    text += f": more than {TIMES:g} times off"
    remedy = (
        "activations only once (a loss from logits takes no sigmoid), inputs and targets of unit"
        " scale, a last layer that starts near 0"
    )
    return Control(name, "warning", text, remedy, figures, "wrong-initial-loss")


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    """One line a floor; the untrained net's own score beside it where it has one."""
    theory = bench.floors.get("initial loss")
    with torch.no_grad():
        untrained = bench.scores(bench.net().model.eval())
    for floor in bench.floors.values():
        text = f"{baseline(floor.means)}: {floor.score} = {floor.value:.5g}"
        figures = {floor.score: floor.value}
        if floor.score in untrained:
            text += f"; of the untrained model {untrained[floor.score]:.5g}"
            figures["untrained"] = untrained[floor.score]
        yield Control("floor", "ok", text, figures=figures)
    if theory is None:
        yield Control("initial loss", "skipped", "the task states no theory of it")
    else:
        measured = untrained.get(theory.score, math.nan)
        yield initial_loss(theory.score, theory.value, measured)


CHECK = Check("floor", run, wanted=lambda bench: 0.3)
