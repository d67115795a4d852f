"""Does training go on from a checkpoint as if nothing had happened (K22)?"""

import copy
import math
from collections.abc import Iterator

import torch

from famulus.diagnosis.controls.bench import Bench, Check, Control, updates

NAME = "resume"
BEFORE, AFTER = 2, 2  # steps


def resume(through: list[float], again: list[float], same_weights: bool) -> Control:
    """Losses of the same steps without and with a restart between: weights, optimizer and random
    streams restored, the task itself made anew."""
    figures = {"through": through, "resumed": again, "same_weights": same_weights}
    if not all(map(math.isfinite, (*through, *again))):
        text = "the loss is not finite: nothing to compare"
        return Control(NAME, "skipped", text, figures=figures)
    step = next((i for i, (a, b) in enumerate(zip(through, again, strict=True)) if a != b), None)
    if step is None and same_weights:
        text = f"{len(through)} steps after a restart are bit for bit those without one"
        return Control(NAME, "ok", text, figures=figures)
    text = "after a restart the losses are those without one, the weights are not"
    if step is not None:
        text = f"step {step + 1} after a restart has loss {again[step]:.6g}, without one"
        text += f" {through[step]:.6g}"
    text += ": something that training depends on is in no checkpoint"
    remedy = "keep it in a buffer of the model, or derive it from the position (step, inputs, seed)"
    return Control(NAME, "failed", text, remedy, figures, "not-resumable")


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    batches, net = list(bench.fed(BEFORE + AFTER)), bench.net()
    for batch in batches[:BEFORE]:
        net.step(batch)
    # Copies: the dicts hold the very tensors that the next steps change.
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
