"""Does the net use its input (K1, K19)? The same training on zeroed, shuffled and noise input.

Source: the random-label test of Zhang et al. 2017, arXiv 1611.03530, and TheDeepChecker's zeroed
input, here against the true pairs from the same start, not against a limit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from famulus.diagnosis.controls import Control
from famulus.diagnosis.controls.overfit import AHEAD, FACTORS, Fit

NAME = "input"
KINDS = ("zeroed", "shuffled", "noise")
LITTLE = 0.05  # share of the first loss that must be learned before anything is said
NEEDS = 0.05  # share of what was learned that must be owed to the input
USED = 0.01  # of the loss, ahead of both zeroed and shuffled input: it is read, if to little gain


@dataclass(frozen=True)
class Learned:
    """Held-out loss before and after a short training, both under the same kind of input."""

    before: float
    after: float
    blind: float  # after, with the input zeroed
    steps: int


def input_use(
    learn: Callable[[str], Learned], fit: Callable[[str, float], Fit], part: str
) -> Control:
    """`learn(kind)` trains from the same start on "true" pairs or one of KINDS.

    `fit(kind, factor)` as in `overfit`; asked only where held-out samples don't decide.
    """
    true = learn("true")
    others = {kind: learn(kind).after for kind in KINDS}
    best = min((v for v in others.values() if math.isfinite(v)), default=math.inf)
    figures = {"before": true.before, "true": true.after, **others, "steps": true.steps}
    said = ", ".join(f"{kind} {value:.4g}" for kind, value in others.items())
    text = f"held-out {part} after {true.steps} steps: true pairs {true.after:.4g}, {said}"
    remedy = "look where the input goes: a variable that is overwritten, a branch without effect"
    if not true.after < true.before + LITTLE * abs(true.before):
        return Control(NAME, "skipped", f"{text}: worse than {true.before:.4g}", "", figures)
    if true.after in (true.blind, others["shuffled"]):
        told = f"{text}; other samples' input or none changes nothing, not in the last digit"
        return Control(NAME, "failed", told, remedy, figures, "input-unused")
    learned = max(abs(true.before - true.after), abs(true.before - best))
    learned = max(learned, LITTLE * abs(true.before), 1e-12)
    gained = (best - true.after) / learned
    figures["gained"] = gained
    if gained > NEEDS:
        told = f"{text}: {min(gained, 1):.0%} of what was learned needs the input"
        return Control(NAME, "ok", told, figures=figures)
    for factor in (1.0, FACTORS[0]):  # what is learned first is the best constant: give it time
        frozen, blind = fit("true", factor), fit("zeroed", factor)
        figures |= {"frozen": frozen.last, "frozen_zeroed": blind.last, "factor": factor}
        way = frozen.first - min(frozen.last, blind.last)
        halved = 0 <= frozen.last < blind.last / 2  # where the best constant is nearly right
        if (blind.last - frozen.last) > AHEAD * way > 0 or halved:
            told = (
                f"{text}; one frozen batch {frozen.last:.4g}, with zeroed input {blind.last:.4g}:"
                f" the net can use its input; held out, {true.steps} steps don't show it yet"
            )
            return Control(NAME, "ok", told, figures=figures)
    told = (
        f"{text}; one frozen batch {frozen.last:.4g}, with zeroed input {blind.last:.4g}, at"
        f" {factor:g} times the rate: as good without the input as with it"
    )
    ahead = min(others["zeroed"], others["shuffled"]) - true.after
    if ahead > USED * abs(true.after):
        said = f"{text}; ahead of zeroed and shuffled input, but by too little to tell more"
        return Control(NAME, "skipped", said, "", figures)
    level = max(abs(frozen.last), abs(blind.last), 1e-12)
    if not way > LITTLE * abs(frozen.first) or abs(frozen.last - blind.last) > AHEAD * level:
        return Control(
            NAME,
            "skipped",
            f"{told}, but what is learned is too little, or too uneven, to tell",
            "",
            figures,
        )
    return Control(NAME, "failed", told, remedy, figures, "input-unused")
