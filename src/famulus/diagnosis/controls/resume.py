"""Does training go on from a checkpoint as if nothing had happened (K22)?"""

import copy
import math
from collections.abc import Iterator, Sequence

import torch

from famulus.diagnosis.controls import Control
from famulus.diagnosis.controls.bench import Bench, Check, updates

NAME = "resume"
BEFORE, AFTER = 2, 2  # steps


def resume(through: Sequence[float], resumed: Sequence[float], same_weights: bool) -> Control:
    """Losses of the same steps without and with a restart between: weights, optimizer and random
    streams restored, the task itself made anew."""
    figures = {"through": list(through), "resumed": list(resumed), "same_weights": same_weights}
    if not all(map(math.isfinite, (*through, *resumed))):
        text = "the loss is not finite: nothing to compare"
        return Control(NAME, "skipped", text, figures=figures)
    if list(through) == list(resumed) and same_weights:
        text = f"{len(through)} steps after a restart are bit for bit those without one"
        return Control(NAME, "ok", text, figures=figures)
    step = next((i for i, (a, b) in enumerate(zip(through, resumed, strict=True)) if a != b), None)
    told = (
        f"step {step + 1} after a restart has loss {resumed[step]:.6g}, without one"
        f" {through[step]:.6g}"
        if step is not None
        else "after a restart the losses are those without one, the weights are not"
    )
    return Control(
        NAME,
        "failed",
        f"{told}: something that training depends on is in no checkpoint",
        "keep it in a buffer of the model, or derive it from the position (step, inputs, seed)",
        figures,
        "not-resumable",
    )


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    """The same few steps twice: straight through, and with a restart in the middle."""
    batches = list(bench.fed(BEFORE + AFTER))
    net = bench.net()
    for batch in batches[:BEFORE]:
        net.step(batch)
    weights, moments = copy.deepcopy((net.model.state_dict(), net.optimizer.state_dict()))
    through = [net.step(batch)["total"] for batch in batches[BEFORE:]]
    other = bench.anew().net()
    other.model.load_state_dict(weights)
    other.optimizer.load_state_dict(moments)
    other.at = BEFORE
    again = [other.step(batch)["total"] for batch in batches[BEFORE:]]
    pairs = zip(net.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    yield resume(through, again, all(torch.equal(a, b) for a, b in pairs))


CHECK = Check(NAME, run, wanted=updates(6), least=updates(6))
