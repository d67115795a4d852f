"""Limits of the rules that read scores of validations."""

import math

from famulus.config.scores import Score, as_json
from famulus.diagnosis.rules import (
    codebook_collapsed,
    codebook_not_started,
    features_collapsed,
    features_not_centred,
    labels_differ,
    one_degree_of_freedom,
    posterior_collapse,
    posterior_unused,
    predicts_the_mean,
    sampling_shift,
    shortcut,
    train_eval_gap,
)
from tests.diagnosis.rules.limits.limit import PER_STEP, Limit, run

FLOOR = {"loss": 1.0}
STEPS = 32  # enough to judge by


def codebook(last, before=8.0, size=256, validations=2, steps=STEPS, started=1.0):
    used = {"used_codes": 16.0, "used_share": 16 / size}
    val = [{"perplexity": before, "started": started, **used}, {"perplexity": last, **used}]
    return run([1.0] * steps, val[-validations:])


def waiting(started, of_budget=1.0):
    return run(
        [1.0] * STEPS, [{"started": started}], facts={"budget": STEPS * PER_STEP / of_budget}
    )


def features(rank=5.0, std=0.3, cosine=0.1, validations=2):
    return run(
        val=[{"feature_rank": rank, "feature_std": std, "feature_cosine": cosine}] * validations
    )


def products(cosine=0.9, loss=1.0, head="dot"):
    val = [{"feature_cosine": cosine, "loss": loss}]
    return run(val=val, floors=FLOOR, config={"model": {"head": {"kind": head}}})


def classes(total=0.1, accuracy=0.0, loss=2.0):
    """Chance is .1; of 900 samples its standard deviation is .01."""
    history = run([total], [{"accuracy": accuracy, "loss": loss}], floors=FLOOR)
    history.floors.append({"score": "loss", "means": "initial loss", "value": math.log(10)})
    history.facts["validation_samples"] = 900
    return history


def steps(*spreads, count=20):
    return run(val=[{"step_spread": s} for s in spreads], config={"model": {"steps": count}})


def posterior(sigma, of_budget=1.0, numbers=64, validations=2, steps=STEPS):
    values = {"kl": 0.1, "sigma": sigma, "snr": 0.1, "active_units": 0}
    loss = {"kl": "textbook", "kl_weight": 1.0, "reconstruction": "l1"}
    return run(
        [1.0] * steps,
        [values] * validations,
        config={"loss": loss, "model": {"code": 16}},
        facts={"budget": steps * PER_STEP / of_budget, "numbers": numbers},
    )


def coded(sigma=1.0, active=0, samples=3, step=STEPS, optimizers=1, dead=0.0):
    """A loop of one's own, in whose loss a code of 8 units was found."""
    code = {"kl": 1e-4, "sigma": sigma, "active": active, "code": 8}
    layer = {"name": "0", "type": "ReLU", "numbers": 0, "dead": dead}
    probe = {"step": step, "layers": [layer], "code": code}
    pair = {"training": {"optimizers": [{"class": "Adam"}] * optimizers}}
    return run(probes=[probe] * samples, config={"task": "own-loop", **pair})


def answered(total, steps=100):
    """Classes: half of the errors are gone in small batches, the loss is near a constant's."""
    forms = {"accuracy": 0.55, "most": 0.1, "left": 0.5, "loss": "cross_entropy"}
    probe = {"step": 1, "layers": [], "forms": forms}
    return run([total] * steps, floors=FLOOR, probes=[probe] * 3)


def constant(score=1.0, total=1.0, validations=2, steps=STEPS, before=None):
    val = [{"loss": score}] * validations
    if before is not None:
        val[0] = {"loss": before}
    return run([total] * steps, val, floors=FLOOR)


def right(accuracy, chance=0.5, samples=None, loss=None):
    """Of so many samples a share is right; the loss is a share of the best constant's."""
    values = {"accuracy": accuracy} | ({} if loss is None else {"loss": loss})
    facts = {"scores": as_json({"accuracy": Score(better="higher")})}
    facts |= {"validation_samples": samples} if samples else {}
    history = run([1.0] * STEPS, [values] * 2, floors=FLOOR, facts=facts)
    history.floors.append({"score": "accuracy", "means": "chance", "value": chance})
    return history


def guessed(total=1.0, low=None):
    """A loop that nobody validates, at this share of what a guess among equal choices scores, and
    at 0 in the log `low` from the end."""
    losses = [total] * 20
    if low is not None:
        losses[-low] = 0.0
    return run(losses, facts={"graph": {"chance": 1.0}}, config={"task": "own-loop"})


def prevalence(ratio=2.0, validations=3, edges=1.0, low=None):
    ratios = [ratio] * validations
    if low is not None:
        ratios[0] = low
    val = [{"predicted prevalence": 0.1 * r, "prevalence": 0.1} for r in ratios]
    return run(val=val, config={"data": {"edges": edges}})


def seam(share=0.9, accuracy=0.7):
    values = {"accuracy": accuracy, "seam_share": share, "without_seam": 0.3}
    history = run(val=[values])
    history.floors.append({"score": "accuracy", "means": "chance", "value": 0.25})
    return history


def modes(trained=0.5, loss=1.0, floor=1.0):
    floors = None if floor is None else {"loss": floor}
    return run(val=[{"loss": loss, "train_mode_gap": loss - trained}], floors=floors)


def weight_of_0008(finding):
    return "loss.kl_weight: 0.0008 " in finding.remedy


LIMITS = (
    Limit(codebook_collapsed, "USED", lambda x: codebook(x, before=x), silent=13.0, faulty=12.6),
    Limit(
        codebook_collapsed, "", lambda x: codebook(x, before=x, size=16), silent=2.05, faulty=1.95
    ),
    Limit(codebook_collapsed, "GROWS", codebook, silent=10.5, faulty=10.3),  # after 8
    Limit(codebook_collapsed, "", lambda n: codebook(8.0, validations=n), silent=1, faulty=2),
    Limit(codebook_collapsed, "FEW", lambda n: codebook(8.0, steps=n), silent=15, faulty=16),
    Limit(codebook_collapsed, "", lambda x: codebook(8.0, started=x), silent=0.0, faulty=1.0),
    Limit(codebook_not_started, "", waiting, silent=1.0, faulty=0.0),
    Limit(codebook_not_started, "", lambda x: waiting(0.0, x), silent=0.94, faulty=0.96),
    Limit(features_collapsed, "RANK", lambda x: features(rank=x), silent=1.52, faulty=1.48),
    Limit(features_collapsed, "SPREAD", lambda x: features(std=x), silent=0.0102, faulty=0.0098),
    Limit(features_collapsed, "COSINE", lambda x: features(cosine=x), silent=0.9978, faulty=0.9982),
    Limit(features_collapsed, "", lambda n: features(rank=1, validations=n), silent=1, faulty=2),
    Limit(features_not_centred, "ALIKE", lambda x: products(cosine=x), silent=0.49, faulty=0.51),
    Limit(features_not_centred, "NEAR", lambda x: products(loss=x), silent=0.89, faulty=0.91),
    Limit(features_not_centred, "HEADS", lambda x: products(head=x), silent="pair", faulty="dot"),
    Limit(labels_differ, "FITTED", lambda x: classes(total=x), silent=0.61, faulty=0.59),
    Limit(labels_differ, "SIGMAS", lambda x: classes(accuracy=x), silent=0.0705, faulty=0.0695),
    Limit(labels_differ, "", lambda x: classes(loss=x), silent=0.99, faulty=1.01),
    Limit(one_degree_of_freedom, "EQUAL", lambda x: steps(1, x, 0), silent=1.02e-3, faulty=0.98e-3),
    Limit(one_degree_of_freedom, "MANY", lambda n: steps(0, 0, count=n), silent=9, faulty=10),
    Limit(one_degree_of_freedom, "", lambda n: steps(*[0] * n), silent=1, faulty=2),
    Limit(posterior_collapse, "NEAR_ONE", posterior, silent=0.89, faulty=0.91),
    Limit(  # .05 grey ranges over the numbers of a picture
        posterior_collapse,
        "AGREED",
        lambda n: posterior(1.0, numbers=n),
        silent=56,
        faulty=62,
        says=weight_of_0008,
    ),
    Limit(posterior_collapse, "posterior.ENOUGH", lambda x: posterior(1.0, x), 0.198, 0.202),
    Limit(posterior_collapse, "", lambda n: posterior(1.0, validations=n), silent=1, faulty=2),
    Limit(posterior_collapse, "posterior.FEW", lambda n: posterior(1.0, steps=n), 15, 16),
    Limit(posterior_collapse, "NEAR_ONE", coded, silent=0.89, faulty=0.91),
    Limit(  # dead from the start, units are no consequence
        posterior_collapse,
        "ALIVE",
        lambda x: coded(dead=x),
        silent=0.71,
        faulty=0.69,
        says=lambda finding: "dead-units" in finding.consequences,
    ),
    Limit(posterior_collapse, "", lambda n: coded(active=n), silent=1, faulty=0),
    Limit(posterior_collapse, "SAMPLES", lambda n: coded(samples=n), silent=2, faulty=3),
    Limit(posterior_collapse, "FEW", lambda n: coded(step=n), silent=15, faulty=16),
    Limit(posterior_collapse, "", lambda n: coded(optimizers=n), silent=2, faulty=1),
    Limit(posterior_unused, "OFF", posterior, silent=0.102, faulty=0.098),
    Limit(predicts_the_mean, "", lambda x: constant(score=x), silent=0.978, faulty=0.982),
    # Far above a constant's score is as bad, however far.
    Limit(predicts_the_mean, "", lambda x: constant(score=x), silent=0.5, faulty=100.0),
    # a loop that is not validated: the loss of classes, and before so many steps the answers
    Limit(predicts_the_mean, "learning.MANY", lambda n: answered(0.96, n), silent=99, faulty=100),
    Limit(predicts_the_mean, "learning.CLEAR", answered, silent=0.948, faulty=0.952),
    Limit(predicts_the_mean, "KNOWN", lambda x: constant(total=x), silent=0.89, faulty=0.91),
    Limit(predicts_the_mean, "", lambda n: constant(validations=n), silent=1, faulty=2),
    Limit(predicts_the_mean, "", lambda n: constant(steps=n), silent=15, faulty=16),
    # A curve that falls by 5 % of the constant in its second half has not come to rest.
    Limit(predicts_the_mean, "", lambda x: constant(before=x), silent=1.052, faulty=1.048),
    Limit(predicts_the_mean, "learning.EQUAL", guessed, silent=0.978, faulty=0.982),
    # The deviation of a share is sqrt(p (1 - p) / n): .05 of a hundred samples, at least so many.
    Limit(predicts_the_mean, "learning.LEAST", right, silent=0.5501, faulty=0.5499),
    Limit(predicts_the_mean, "learning.A_LITTLE", lambda x: right(x, 0.1), 0.1151, faulty=0.1149),
    Limit(  # a loss that says nothing is learned, and three deviations that say something is
        predicts_the_mean, "learning.SIGMAS", lambda x: right(x, 0.5, 900, 1.0), 0.551, 0.549
    ),
    Limit(predicts_the_mean, "learning.LOGS", lambda n: guessed(low=n), silent=3, faulty=4),
    Limit(sampling_shift, "LIMIT", prevalence, silent=1.38, faulty=1.42),
    Limit(sampling_shift, "LIMIT", lambda x: prevalence(low=x), silent=1.38, faulty=1.42),
    Limit(sampling_shift, "LAST", lambda n: prevalence(validations=n), silent=2, faulty=3),
    Limit(sampling_shift, "", lambda x: prevalence(edges=x), silent=0.99, faulty=1.0),
    Limit(shortcut, "SHARE", seam, silent=0.49, faulty=0.51),
    Limit(shortcut, "GAINED", lambda x: seam(accuracy=x), silent=0.345, faulty=0.355),
    Limit(train_eval_gap, "CLEARLY", modes, silent=0.91, faulty=0.89),
    Limit(train_eval_gap, "CLEARLY", lambda x: modes(loss=x), silent=0.978, faulty=0.982),
    Limit(train_eval_gap, "RATIO", lambda x: modes(1.0, x, floor=None), silent=1.49, faulty=1.51),
)
