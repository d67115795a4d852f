"""What is learned is the training samples, not what they share (K13)."""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.trend import curve, training_loss

CAUSE = "memorises"
SUMMARY = "validation gets worse while the training loss falls: samples are learned by heart"
WORSE = 1.05  # last validation / best one
AFTER = 2  # validations after the best one, at least, all of them worse
FALLEN = 0.9  # training loss now / at the best validation
HALVED = 0.5  # of it: then validation need only have stopped getting better


def rule(history: History) -> Finding | None:
    at, scores = curve(history.val, "loss")
    seen, loss = training_loss(history)
    if not scores or not loss:
        return None
    best = min(range(len(scores)), key=scores.__getitem__)
    floor = history.floor("loss", "best constant")
    then = [v for n, v in zip(seen, loss, strict=True) if n <= at[best]]
    apart = loss[-1] / then[-1] if then and then[-1] > 0 else 1.0
    turned = (
        len(scores) - 1 - best >= AFTER
        and scores[best] > 0
        and (
            (scores[-1] > WORSE * scores[best] and apart < FALLEN)
            or (2 * best < len(scores) and apart < HALVED)
        )
    )
    at_once = floor is not None and scores[-1] >= floor and loss[-1] < FALLEN / 2 * floor
    if not turned and not at_once:
        return None
    asked = bool((history.config.get("data") or {}).get("frozen"))
    told = (
        f"val/loss was {scores[best]:.4g} at {at[best]:,} inputs and is {scores[-1]:.4g} at"
        f" {at[-1]:,}, while the training loss fell from {then[-1]:.4g} to {loss[-1]:.4g}"
        if turned
        else f"val/loss is {scores[-1]:.4g}, no better than the best constant's {floor:.4g}, at a"
        f" training loss of {loss[-1]:.4g}"
    )
    samples = history.facts.get("train_samples")
    times = (
        f"; each of {samples:,} samples was seen {seen[-1] / samples:.0f} times" if samples else ""
    )
    return Finding(
        CAUSE,
        "info" if asked else "warning",
        told + times,
        "data.frozen asks for just that" if asked else
        f"training.keep: {{best: val/loss}} with training.inputs: {at[best]:_}; more data or a"
        " smaller model lower the turn itself",
        step=history.val[-1]["step"],
        consequences=("predicts-the-mean",) if at_once else (),
    )  # fmt: skip
