"""A model must be able to overfit one frozen batch (K3), and look so in eval mode too (K4).

Source: karpathy.github.io/2019/04/25/recipe: a net that can't overfit one batch will not learn a
data set either. What failed is told apart by further fits from the same start: at other rates, and
with a zeroed input, which leaves nothing to learn but the best constant.
"""

import math
from collections.abc import Callable, Iterator

from famulus.diagnosis.controls.bench import LEAST, Bench, Check, Control, Fit, small_updates
from famulus.diagnosis.controls.parameters import trained_numbers
from famulus.diagnosis.remedy import (
    NOBODY,
    Owner,
    Step,
    advise,
    clipping,
    learning_rate,
    norm,
    setting,
    significant,
)

NAME = "overfit one batch"
SHARE = 0.5  # of the way from the first loss to `best` that must be gone
AHEAD = 0.1  # of the way: what a net must gain on one that sees no input
STEPS = 300
FEW = 50  # steps, below which a net that has only reached the constant may yet learn
SLOWER = 0.01  # on the rate, where the configured one makes it worse
LIKELY = 1e-3  # a learning rate at which weights move
FACTORS = (10.0, 100.0)  # on the rate, where the configured one has not been enough


def overfit(
    fit: Callable[[str, float], Fit],
    part: str,
    best: float = 0.0,
    *,
    weights: int = 0,
    numbers: int = 0,
    faster: float | None = None,
    owner: Owner = NOBODY,
) -> Control:
    """`fit(kind, factor)`: a fresh net, `factor` on its rate, fed the "true" or a "zeroed" input.

    `part`: the loss part judged; `best`: its least possible value where known. `weights` and
    `numbers` count what is trained and what is to be learned: a net of a few weights can't.
    `faster`: a factor on the rate that promises more; a tenth of it and itself are tried, too.
    `owner`: of the remedies.
    """
    own = fit("true", 1.0)
    figures = {"first": own.first, "last": own.last, "steps": own.steps}
    if not math.isfinite(own.last):
        return _broken(fit, own, part, figures, owner)
    gone = own.gone(best)
    figures |= {"share_gone": gone, "eval": own.judged}
    text = f"{part} {own.first:.4g} → {own.last:.4g} in {own.steps} steps on one frozen batch,"
    text += f" {own.judged:.4g} in eval mode"
    if gone >= SHARE:
        gap = own.judged - own.last
        # Noise that stays the same is learned by heart, too; other noise shows it in train mode.
        noise = 0.0 if own.other is None else own.other - own.last
        way = SHARE * (own.first - own.last)
        if not math.isfinite(gap) or gap > way >= noise:
            text += ": what was learned is not there in eval mode"
            batch = int(owner.value("training.batch", 0))
            mode = advise(
                owner,
                *([setting("training.batch", 4 * batch)] if batch else []),
                norm("group", why="has no running statistics"),
                Step(words="less dropout"),
            )
            cause = "train-eval-gap"
            return Control(NAME, "failed", text, mode.text, figures, cause, mode.changes)
        return Control(NAME, "ok", text, figures=figures)
    if not own.last < own.first:
        slower = fit("true", SLOWER)
        if math.isfinite(slower.last) and slower.gone(best) >= SHARE:
            return _too_fast(slower, SLOWER, text, figures, owner)
    more = [] if faster is None else [f for f in (faster / 10, faster) if f > FACTORS[-1]]
    for factor in (*FACTORS, *more):
        quick = fit("true", factor)
        if math.isfinite(quick.last) and quick.gone(best) >= SHARE:
            figures |= {"faster": quick.last, "factor": factor}
            text += f"; {quick.last:.4g} at {factor:.3g} times the rate: it can, given time"
            return Control(NAME, "ok", text, figures=figures)
    text += f": only {gone:.0%} of the way to {best:.4g}"
    if own.steps < FEW:
        text += f"; {FEW} steps at least would tell, which takes a larger --budget"
        return Control(NAME, "skipped", text, figures=figures)
    if 0 < 10 * weights < numbers:
        text += f"; {weights:,} weights can't hold {numbers:,} numbers"
        return Control(NAME, "ok", text, figures=figures)
    blind = fit("zeroed", 1.0)
    figures["zeroed"] = blind.last
    if blind.last - own.last > AHEAD * (own.first - best):
        text += f", yet less than {blind.last:.4g} without an input: it learns, slowly"
        return Control(NAME, "ok", text, figures=figures)
    text += f", also at up to {max(*FACTORS, *more):.3g} times the rate; {blind.last:.4g} with a"
    text += " zeroed input"
    if owner.value("training.optimizer.lr") == 0:
        moving = advise(owner, learning_rate(LIKELY, "at 0 no weight moves"))
        cause = "cannot-overfit"
        return Control(NAME, "failed", text, moving.text, figures, cause, moving.changes)
    remedy = "the loss does not reach the weights, or target and input do not belong together:"
    remedy += " look at one sample; a higher learning rate does not help"
    return Control(NAME, "failed", text, remedy, figures, "cannot-overfit")


def _broken(
    fit: Callable[[str, float], Fit], own: Fit, part: str, figures: dict, owner: Owner
) -> Control:
    """Not finite: because of the rate, if a tenth or a hundredth of it stays finite."""
    text = f"{part} became {own.last} at step {own.steps} on one frozen batch"
    for factor in (0.1, SLOWER):
        slower = fit("true", factor)
        if math.isfinite(slower.last):
            return _too_fast(slower, factor, text, figures, owner)
    remedy = "look for a log, a root or a quotient without a lower bound in the loss"
    return Control(NAME, "failed", text, remedy, figures, "loss-not-finite")


def _too_fast(slower: Fit, factor: float, text: str, figures: dict, owner: Owner) -> Control:
    figures |= {"slower": slower.last, "factor": factor}
    rate = owner.value("training.optimizer.lr")
    lower = [learning_rate(significant(factor * rate))] if rate else []
    words = f"{factor:g} times the learning rate"
    remedy = advise(owner, *(lower or [Step(words=words)]), clipping(owner))
    text += f"; {slower.last:.4g} at {words}"
    return Control(NAME, "failed", text, remedy.text, figures, "rate-too-high", remedy.changes)


def affordable(bench: Bench, limit_s: float) -> int:
    """Steps of one fit."""
    return int(min(STEPS, max(LEAST, limit_s / bench.small_s / 2)))


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    steps = bench.overfit_steps = affordable(bench, limit_s)
    lr = bench.training.optimizer.lr
    yield overfit(
        lambda kind, factor: bench.fit(kind, factor, steps, noisy=kind != "true"),
        bench.part,
        bench.best,
        weights=trained_numbers(bench.net().model),
        numbers=max(v.numel() for v in bench.frozen.values()),
        faster=bench.suggestion / lr if bench.suggestion and lr else None,
        owner=bench.owner,
    )


CHECK = Check(NAME, run, wanted=small_updates(2 * STEPS), least=small_updates(4 * LEAST))
