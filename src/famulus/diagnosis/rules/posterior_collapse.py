"""The posterior equals the prior: the code carries nothing, the decoder answers alone (K16).

Source: units in use as in Burda et al. 2016, arXiv 1509.00519. The noise that a weight w beside a
mean over P numbers assumes follows from the density: ln p = -|d| / b - ln 2b of the Laplace gives
b = w P, ln p = -d^2 / 2 s^2 - ln s sqrt(2 pi) of the Gaussian s = sqrt(w P / 2).
"""

import math

from famulus.diagnosis.contract import graph
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import RECTIFYING
from famulus.diagnosis.learning import FEW
from famulus.diagnosis.posterior import Posterior, posterior
from famulus.diagnosis.remedy import Remedy, Step, advise, line, setting, significant

CAUSE = "posterior-collapse"
SUMMARY = "the posterior is the prior in every unit: the code of a VAE carries nothing"
NEAR_ONE = 0.9  # mean sigma from which noise alone is left
AGREED = 0.05  # grey ranges: a scale that works for pictures
ALIVE = 0.7  # of the units of a layer, dead at the first sample
SAMPLES = 3  # of a loop of one's own, the last ones, in all of which no unit is in use
LOSSES = {"BinaryCrossEntropy": "binary_cross_entropy", "MseLoss": "mse_loss", "L1Loss": "l1_loss",
          "BinaryCrossEntropyWithLogits": "binary_cross_entropy_with_logits",
          "SmoothL1Loss": "smooth_l1_loss"}  # fmt: skip


def rule(history: History) -> Finding | None:
    if not history.owner.is_file:
        return _of_loop(history)
    found = posterior(history)
    if found is None or found.active or found.sigma < NEAR_ONE:
        return None
    floor, score = history.floor("l1", "best constant"), history.last("l1")
    beside = ""
    if floor and score is not None:
        beside = f"; val/l1 {score:.4g}, where the best constant predictor scores {floor:.4g}"
    remedy = _remedy(history, found)
    return Finding(
        CAUSE,
        "error",
        f"after {found.inputs:,} samples 0 of {found.code} units are in use, mean sigma"
        f" {found.sigma:.2f}, KL {_kl(found)}{beside}",
        remedy.text,
        changes=remedy.changes,
        step=found.step,
        consequences=_consequences(history),
    )


def _of_loop(history: History) -> Finding | None:
    """Of a watched loop, whose code was found in the graph of its loss."""
    known = [(probe["step"], probe["code"]) for probe in history.probes if probe.get("code")]
    last = known[-SAMPLES:]
    if len(last) < SAMPLES or last[-1][0] < FEW or history.opposed:
        return None
    if any(code["active"] or code["sigma"] < NEAR_ONE for _, code in last):
        return None
    step, code = last[-1]
    means = [LOSSES[kind] for kind in graph(history).get("means") or () if kind in LOSSES]
    steps = [
        line(
            f'F.{kind}(..., reduction="sum")',
            "divided by len(x) if the KL is: a mean over pixels weighs next to nothing beside it",
        )
        for kind in means[:1]
    ]
    smaller = Step(words="a smaller weight of the KL, or one that grows from 0")
    return Finding(
        CAUSE,
        "error",
        f"in the last {SAMPLES} samples, up to step {step:,}, 0 of {code['code']:.0f} units of the"
        f" code are in use: mean sigma {code['sigma']:.3g}, KL {code['kl']:.2g} nats a sample",
        advise(history.owner, *steps, smaller).text,
        step=step,
        consequences=_consequences(history),
    )


def _consequences(history: History) -> tuple[str, ...]:
    """Of a code that carries nothing the decoder passes no gradient on, the KL alone does.

    An encoder that nobody listens to any more lets its units die; one whose units were dead from
    the start has nothing to say.
    """
    first = history.probes[0]["layers"] if history.probes else []
    dead = [v.get("dead") or 0.0 for v in first if v["type"] in RECTIFYING]
    from_start = max(dead, default=0.0) > ALIVE
    always = ("predicts-the-mean", "exploding-gradient", "vanishing-gradient")
    return always if from_start else (*always, "dead-units")


def _kl(found: Posterior) -> str:
    if found.formula != "legacy":
        return f"{found.kl:.2g} nats"
    # `nets.elbo.legacy_kl` at mu = 0, sigma = 1: no divergence, and so not 0 there
    prior = found.code * (math.e - 2) / 2
    return f"{found.kl:.2g} by the legacy formula, which gives {prior:.2g} where nothing is coded"


def _remedy(history: History, found: Posterior) -> Remedy:
    weight = found.weight
    smaller = setting(
        "loss.kl_weight", significant(weight / 10), words="a smaller weight of the KL"
    )
    if found.formula == "legacy":  # what its weight assumes of the noise, no density says
        why = "the legacy formula takes sigma for a log-variance"
        return advise(history.owner, setting("loss.kl", "textbook", why=why), smaller)
    kind, pixels = history.section("loss").get("reconstruction"), history.facts.get("numbers")
    if kind in ("l1", "l2") and pixels:
        scale = weight * pixels if kind == "l1" else (weight * pixels / 2) ** 0.5
        fitting = AGREED / pixels if kind == "l1" else 2 * AGREED**2 / pixels
        name = "b" if kind == "l1" else "sigma"
        beside = f"{weight:g} beside a mean over {pixels:,} numbers assumes noise of {name} ="
        beside += f" {scale:.3g} grey ranges"
        return advise(
            history.owner,
            setting("loss.reconstruction", "laplace", why="finds the scale of its noise"),
            setting("loss.kl_weight", significant(fitting, 1), why=beside),
        )
    samples = history.facts.get("budget") or history.val[-1]["inputs"]
    return advise(
        history.owner,
        setting("loss.kl_warmup_inputs", int(samples) // 4, why="the KL joins little by little"),
        setting("loss.free_bits", 0.1, why="nats a unit that cost nothing"),
        smaller,
    )
