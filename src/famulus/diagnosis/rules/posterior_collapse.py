"""The posterior equals the prior: the code carries nothing, the decoder answers alone (K16).

Source: units in use as in Burda et al. 2016, arXiv 1509.00519; the scale that a weight states
follows from the Laplace density, ln p = -|d| / b - ln 2b.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.posterior import posterior

CAUSE = "posterior-collapse"
SUMMARY = "the posterior is the prior in every unit: the code of a VAE carries nothing"
NEAR_ONE = 0.9  # mean sigma from which noise alone is left
AGREED = 0.05  # grey ranges: a scale that works for pictures


def rule(history: History) -> Finding | None:
    found = posterior(history)
    if found is None or found.active or found.sigma < NEAR_ONE:
        return None
    floor, score = history.floor("l1", "best constant"), history.last("l1")
    beside = ""
    if floor and score is not None:
        beside = f"; val/l1 {score:.4g}, where the best constant scores {floor:.4g}"
    return Finding(
        CAUSE,
        "error",
        f"after {found.inputs:,} inputs 0 of {found.code} units are in use, mean sigma"
        f" {found.sigma:.2f}, KL {found.kl:.2g} nats{beside}",
        _remedy(history, found.weight),
        step=found.step,
        consequences=("predicts-the-mean",),
    )


def _remedy(history: History, weight: float) -> str:
    kind = history.config["loss"]["reconstruction"]
    pixels = history.facts.get("numbers")
    if kind in ("l1", "l2") and pixels:
        states = f"b = {weight * pixels:g}" if kind == "l1" else "as wide a noise"
        return (
            f"weight {weight:g} beside a mean over {pixels:,} numbers states noise of {states} grey"
            " ranges: set loss.reconstruction: laplace (its scale is found), or loss.kl_weight:"
            f" {AGREED / pixels:.1g}"
        )
    return "loss.kl_warmup_inputs, loss.free_bits: 0.1, or a smaller loss.kl_weight"
