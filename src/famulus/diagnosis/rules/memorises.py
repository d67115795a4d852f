"""What is learned is the training samples, not what they share (K13)."""

import math
import re
from statistics import fmean

from famulus.diagnosis.figures import apart
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.remedy import Remedy, Step, advise, budget, setting, weight_decay
from famulus.diagnosis.trend import curve, training_loss

CAUSE = "memorises"
SUMMARY = "the training loss falls, the validation loss does not: the samples are overfitted"
WORSE = 1.05  # last validation / best one
AFTER = 2  # validations after the best one, at least, all of them worse
FALLEN = 0.9  # training loss now / at the best validation
HALVED = 0.5  # training loss now / in the middle of the run,
STOOD = 0.95  # while validation stood still, ...
APART = 3.0  # ... well above it
PASSES = 1.5  # over the samples, from which on one can be known
LITTLE = 0.02  # of the constant's loss, or the first one: what lies below was learned, not missed
WELL = 0.1  # of what a constant scores: whoever is below has learned what is shared
HIGHER = re.compile(r"acc|auc|f1|dice|iou|r2|recall|precision|correlation")  # scores of which more
EQUAL = 0.05  # of such a score: no worse than at its best
LOST = 0.2  # of what the best validation had gained over a constant: less is a remark
SCATTER = 3.0  # standard deviations of validations, where as many as these tell of one
MANY = 6


def rule(history: History) -> Finding | None:
    at, scores = curve(history.val, "loss")
    seen, loss = training_loss(history)
    if not scores or not loss:
        return None
    samples = history.facts.get("train_samples")
    if samples and seen[-1] < PASSES * samples:
        return None  # nothing was shown often enough to be known by heart
    best = min(range(len(scores)), key=scores.__getitem__)
    floor = history.floor("loss", "best constant")
    little = LITTLE * (floor if floor and floor > 0 else max(loss[0], 0.0))
    turned = _turned(at, scores, seen, loss, best) if scores[-1] - scores[best] > little else ""
    stands = _stands(at, scores, seen, loss) if scores[-1] - loss[-1] > little else ""
    at_once = floor is not None and scores[-1] >= floor and loss[-1] < FALLEN / 2 * floor
    # What still improves on held-out samples is no list of the training samples.
    at_once = at_once and not of_history(history).early
    if not (turned or stands or at_once):
        return None
    base = scores[0] if floor is None else floor
    mostly = scores[-1] - scores[best] < LOST * (base - scores[best])
    well = scores[-1] < WELL * base
    remark = not at_once and (well if stands else mostly or _others_stand(history))
    asked = bool(history.section("data").get("frozen"))
    text = turned or stands or _no_better(history, scores[-1], loss[-1])
    remedy = (
        Remedy("nothing: data.frozen asks for just that") if asked else _remedy(history, at[best])
    )
    times = (
        f"; each of {samples:,.0f} samples was seen {seen[-1] / samples:.0f} times"
        if samples
        else ""
    )
    return Finding(
        CAUSE,
        "info" if asked or remark else "warning",
        text + times,
        remedy.text,
        changes=remedy.changes,
        step=history.val[-1]["step"],
        consequences=("predicts-the-mean",) if at_once else (),
    )


def _others_stand(history: History) -> bool:
    """Is another score, of which more is better, as good as ever? Then a loss that rises tells of
    answers that are too sure."""
    for name in history.val[-1]["values"]:
        _, scores = curve(history.val, name)
        if HIGHER.search(name.lower()) and len(scores) > 1 and scores[-1] >= max(scores) - EQUAL:
            return True
    return False


def _no_better(history: History, score: float, loss: float) -> str:
    level, own = apart(history.floor("loss", "best constant") or 0.0, score)
    steps = history.val[-1]["step"], history.train[-1]["step"]
    return (
        f"val/loss is {own} at step {steps[0]:,} (the best constant predictor scores {level}), the"
        f" training loss {loss:.4g} at step {steps[1]:,}"
    )


def _remedy(history: History, best: int) -> Remedy:
    owner = history.owner
    stop = budget(
        owner,
        best,
        history.val[-1]["inputs"],
        why="where validation was best",
        words=f"end the loop at {best:,} samples, where validation was best",
    )
    keep = setting(
        "training.keep.best",
        "val/loss",
        why="keeps the weights of that moment",
        code=lambda script: f"torch.save({script.model}.state_dict(), path)",
        where="at each new best validation",
    )
    dropout = Step(code="nn.Dropout(0.1)", where="before the last layer")
    more = Step(words="more data, augmentation or a smaller model")
    return advise(owner, stop, keep, weight_decay(), dropout, more)


def _turned(
    at: list[int], scores: list[float], seen: list[int], loss: list[float], best: int
) -> str:
    """Validation was better before, and training went on falling."""
    then = _at(at[best], seen, loss)
    if len(scores) - 1 - best < AFTER or not then or scores[best] <= 0:
        return ""
    # what validation has come back from before is its noise
    usual = max(
        (v / min(scores[: n + 1]) for n, v in enumerate(scores[best // 2 : best], best // 2)),
        default=1.0,
    )
    if scores[-1] <= max(WORSE, usual) * scores[best] or loss[-1] >= FALLEN * then:
        return ""
    if not _clearly(scores[best], scores[best + 1 :]):
        return ""
    return (
        f"val/loss was {scores[best]:.4g} at {at[best]:,} samples and is {scores[-1]:.4g} at"
        f" {at[-1]:,}, while the training loss fell from {then:.4g} to {loss[-1]:.4g}"
    )


def _clearly(best: float, later: list[float]) -> bool:
    """Do later scores lie above the best one by more than they scatter? Of few nobody knows how
    much that is, and of many the best one lies some two deviations below them by chance."""
    if len(later) < MANY:
        return True
    # second differences: a steady rise is no scatter
    bends = [a - 2 * b + c for a, b, c in zip(later, later[1:], later[2:], strict=False)]
    scatter = math.sqrt(fmean(bend * bend for bend in bends) / 6)
    return fmean(later[-3:]) - best > SCATTER * scatter


def _stands(at: list[int], scores: list[float], seen: list[int], loss: list[float]) -> str:
    """Validation stands still in the second half of the run, training falls away below it."""
    half = len(scores) // 2
    then = _at(at[half], seen, loss)
    if len(scores) < 2 * AFTER + 1 or not then:
        return ""
    if scores[-1] < STOOD * scores[half] or loss[-1] > HALVED * then:
        return ""
    if scores[-1] < APART * loss[-1]:
        return ""
    return (
        f"since {at[half]:,} samples the training loss fell from {then:.4g} to {loss[-1]:.4g},"
        f" while val/loss went from {scores[half]:.4g} to {scores[-1]:.4g}"
    )


def _at(inputs: int, seen: list[int], loss: list[float]) -> float | None:
    """The training loss as last logged by then."""
    before = [v for n, v in zip(seen, loss, strict=True) if n <= inputs]
    return before[-1] if before else None
