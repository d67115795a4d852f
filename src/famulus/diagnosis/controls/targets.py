"""Are the targets other ones at every look (K3)? Then no batch is ever learned by heart."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from famulus.diagnosis.controls.bench import Bench, Check, Control, Fit
from famulus.diagnosis.controls.calls import NOT_ONCE, Free
from famulus.diagnosis.controls.free_output import descend
from famulus.diagnosis.controls.overfit import SHARE, STEPS, affordable
from famulus.diagnosis.remedy import NOBODY, Owner, Step, advise, setting

NAME = "targets"
TIMES = 5.0  # what frozen targets leave, where drawn ones leave more than they should
FEW = 64  # training samples that someone wants learned by heart


@dataclass(frozen=True)
class Looks:
    """The same samples, loaded for two epochs, and the same batch, asked for its loss twice."""

    same_input: bool  # what the net is called with is bit for bit the same in both epochs
    same_target: bool  # free answers lose the same in both epochs
    steady: bool  # the loss of one batch and free answers is the same under other random numbers


def targets(
    looks: Looks,
    samples: int,
    fit: Callable[[bool], Fit] | None,
    best: float,
    owner: Owner = NOBODY,
) -> Control:
    """`fit(frozen)` trains on one batch whose samples are loaded once, or anew at every step.

    `samples`: of the training split; None for `fit` where nobody wants so many by heart.
    """
    figures = {**vars(looks), "samples": samples}
    if not looks.steady:
        text = "the loss draws its targets anew at every call: of the same batch it is another one"
        remedy = "draw targets in the data, from the sample's seed, not in the loss"
        return Control(NAME, "failed", text, remedy, figures, "targets-redrawn")
    if looks.same_input and not looks.same_target:
        text = "two epochs show the same input with other targets, which no net can tell apart"
        remedy = "make the target a function of the input, or freeze it for each sample"
        return Control(NAME, "failed", text, remedy, figures, "targets-redrawn")
    if looks.same_target:
        return Control(NAME, "ok", "targets are the same in every epoch", figures=figures)
    if fit is None:
        text = f"input and target are drawn anew in every epoch, over {samples:,} samples"
        return Control(NAME, "ok", text, figures=figures)
    frozen, moving = fit(True), fit(False)
    figures |= {"frozen": frozen.last, "moving": moving.last, "steps": frozen.steps}
    text = f"targets are drawn anew in every epoch: one batch {frozen.first:.4g} →"
    text += f" {frozen.last:.4g} frozen, → {moving.last:.4g} drawn anew, in {frozen.steps} steps"
    heart = frozen.gone(best) >= SHARE and moving.last - best > TIMES * (frozen.last - best)
    if samples <= FEW and heart:
        text += f"; so {samples} samples can't be overfitted"
        once = setting("data.frozen", True, words="one target for each sample, drawn once")
        freeze = advise(owner, once, Step(words="many samples, to train and not to test"))
        cause = "targets-redrawn"
        return Control(NAME, "failed", text, freeze.text, figures, cause, freeze.changes)
    return Control(NAME, "ok", text, figures=figures)


def looks_of(bench: Bench) -> Looks | None:
    """None where the loss does not call the net once with a batch."""
    net = bench.net()
    kept = copy.deepcopy(net.model.state_dict())
    one = Free(net, bench.reloaded(0))
    net.model.load_state_dict(kept)  # running averages move with every call
    two = Free(net, bench.reloaded(1))
    if not one.outputs or not two.outputs:
        return None
    whole = slice(0, one.samples)
    first, second = one.calls[0].arguments, two.calls[0].arguments
    same = len(first) == len(second) and all(map(torch.equal, first, second))
    _, ends = descend(one.outputs, lambda free: one.loss(free, whole), 20)  # answers that tell

    def lost(epoch: Free, noise: int = 0) -> float:
        net.model.load_state_dict(kept)
        return float(epoch.loss(ends, whole, noise))

    with torch.no_grad():
        loss, other = [lost(one, noise) for noise in (0, 1, 0, 0)], lost(two)
    counts = any(value != loss[0] for value in loss[2:])  # a task that counts its calls
    return Looks(same, loss[0] == other or counts, loss[0] == loss[1] or counts)


def _few(bench: Bench) -> bool:
    """Else nobody wants them by heart."""
    return len(bench.data.train) <= FEW


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    looks = looks_of(bench.on_cpu())
    if looks is None:
        yield Control(NAME, "skipped", NOT_ONCE)
        return
    steps = bench.overfit_steps or affordable(bench, limit_s)

    def fit(frozen: bool) -> Fit:
        return bench.fit("true", 1.0, steps, fresh=not frozen)

    yield targets(
        looks, len(bench.data.train), fit if _few(bench) else None, bench.best, bench.owner
    )


CHECK = Check(NAME, run, wanted=lambda bench: (2 * STEPS if _few(bench) else 5) * bench.small_s)
