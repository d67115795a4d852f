"""Are the targets other ones at every look (K3)? Then no batch is ever learned by heart."""

from collections.abc import Callable
from dataclasses import dataclass

from famulus.diagnosis.controls import Control
from famulus.diagnosis.controls.overfit import SHARE, Fit

NAME = "targets"
TIMES = 5.0  # what frozen targets leave, where drawn ones leave more than they should
FEW = 64  # training samples that someone wants learned by heart


@dataclass(frozen=True)
class Looks:
    """The same samples, loaded for two epochs, and the same batch, asked for its loss twice."""

    same_input: bool  # what the net is called with is bit for bit the same in both epochs
    same_target: bool  # free answers lose the same in both epochs
    steady: bool  # the loss of one batch and free answers is the same under other random numbers


def targets(looks: Looks, samples: int, fit: Callable[[bool], Fit] | None, best: float) -> Control:
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
    text = (
        f"targets are drawn anew in every epoch: one batch {frozen.first:.4g} → {frozen.last:.4g}"
        f" frozen, → {moving.last:.4g} drawn anew, in {frozen.steps} steps"
    )
    heart = frozen.gone(best) >= SHARE and moving.last - best > TIMES * (frozen.last - best)
    if samples <= FEW and heart:
        return Control(
            NAME,
            "failed",
            f"{text}; {samples} samples can't be learned by heart so",
            "data.frozen: true for a test by heart; many samples for training",
            figures,
            "targets-redrawn",
        )
    return Control(NAME, "ok", text, figures=figures)
