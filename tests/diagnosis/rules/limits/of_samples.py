"""Limits of the rules that read what a loop's samples hold: numbers of a batch, codes, features."""

from famulus.diagnosis.rules import (
    codebook_collapsed,
    features_collapsed,
    input_out_of_range,
    posterior_unused,
    same_answer_for_all,
    targets_out_of_range,
)
from tests.diagnosis.rules.limits.limit import Limit, run

FLOOR = {"loss": 1.0}
STEP = 32  # enough to judge by
OWN = {"task": "own-loop"}


def sampled(probes, score=1.0, step=STEP, config=None, **fields):
    """A loop of one's own with these samples, the last of them at `step`; the score is a share of
    the best constant's."""
    val = [] if score is None else [{"loss": score}]
    last = step - len(probes)
    probes = [{"layers": [], **probe, "step": last + n} for n, probe in enumerate(probes, 1)]
    config = OWN if config is None else config
    return run([1.0] * 20, val, floors=FLOOR, probes=probes, config=config, **fields)


def tensor(mean=0.0, sd=1.0, low=0.0, high=1.0, spread=1.0, finite=True):
    return {"mean": mean, "std": sd, "min": low, "max": high, "spread": spread, "finite": finite}


def inputs(*batches, first="Linear", score=1.0, config=None):
    """Of a net whose first layer with weights is of this kind."""
    layers = [{"name": "0", "type": "Flatten", "numbers": 0},
              {"name": "1", "type": first, "numbers": 9}]  # fmt: skip
    probes = [{"layers": layers, "batch": {"inputs": batch}} for batch in batches]
    return sampled(probes, score, config=config)


def halved(history):
    """The same with a training loss that has, and no baseline."""
    losses = [1.0] * 10 + [0.4] * 10
    return run(losses, probes=history.probes, config=OWN)


def far(mean=0.0, sd=31.0, count=2, **tensors):
    return [tensor(mean, sd, **tensors)] * count


def targets(*batches, kind="real", score=1.0, left=None):
    form = {"loss": None, "targets": kind} | ({} if left is None else {"left": left})
    return sampled([{"batch": {"targets": b}, "forms": form} for b in batches], score)


def answers(apart, wanted=1.0, size=0.0, kind="real", count=3, score=1.0, step=STEP, varied=1.0):
    """Outputs of this deviation over the samples, and of this mean; of targets, and of inputs."""
    batch = {"inputs": tensor(sd=varied), "outputs": tensor(size, apart)}
    if wanted is not None:
        batch["targets"] = tensor(sd=wanted)
    return sampled([{"batch": batch, "forms": {"targets": kind}}] * count, score, step)


def silent_units(share, calls=1):
    """Of the last layer with weights, of a net whose outputs nobody handed over."""
    layer = {"name": "3", "type": "Linear", "numbers": 9, "dead": share, "calls": calls}
    return sampled([{"layers": [layer], "batch": {"inputs": tensor()}}] * 3)


def codes(*perplexities, size=256, vectors=4096, step=STEP, left=None):
    form = {} if left is None else {"forms": {"loss": "mse", "left": left}}
    book = {"used": 9.0, "vectors": vectors} | ({"size": size} if size else {})
    return sampled([{"codebook": {**book, "perplexity": p}, **form} for p in perplexities],
                   step=step)  # fmt: skip


def features(count=3, step=STEP, at="features", graph=None, optimizers=1, left=None, **figures):
    """What a loop hands over, or what its net ends in."""
    figures = {"cosine": 0.1, "spread": 0.9, "rank": 5.0, "of": 16} | figures
    form = {} if left is None else {"forms": {"left": left}}
    pair = {"training": {"optimizers": [{"class": "Adam"}] * optimizers}}
    facts = {"graph": graph} if graph else {}
    probes = [{at: figures, **form}] * count
    return sampled(probes, step=step, config=OWN | pair, facts=facts)


def nearer(share, cosine=0.9, at="features"):
    """Features whose spread falls to this share of the first, sample by sample."""
    figures = {"cosine": cosine, "rank": 5.0, "of": 16}
    figures |= {"columns": 3.0, "rows": 3.0} if at == "features" else {}
    spreads = [1.0, 1.0, (1 + share) / 2, share]
    return sampled([{at: {**figures, "spread": s}} for s in spreads], config=OWN)


def code(sigma=0.01, count=3, step=STEP, optimizers=1, before=0.01):
    figures = {"kl": 40.0, "active": 8, "code": 8}
    probes = [{"code": {**figures, "sigma": s}} for s in (*[before] * (count - 1), sigma)]
    pair = {"training": {"optimizers": [{"class": "Adam"}] * optimizers}}
    return sampled(probes, step=step, config=OWN | pair)


def error(finding):
    return finding.severity == "error"


def says(words):
    return lambda finding: words in finding.evidence + finding.remedy


LIMITS = (
    Limit(input_out_of_range, "FAR", lambda x: inputs(*far(sd=x)), silent=29.9, faulty=30.1),
    Limit(input_out_of_range, "FAR", lambda x: inputs(*far(-x, 1.0)), silent=28.9, faulty=29.1),
    Limit(input_out_of_range, "FLAT", lambda x: inputs(*far(0.0, x)), silent=0.0202, faulty=0.0198),
    Limit(  # all batches, or it is some samples that are far
        input_out_of_range, "", lambda x: inputs(*far(), *far(sd=x)), silent=1.0, faulty=31.0
    ),
    Limit(  # where nothing is known but that the loss has halved
        input_out_of_range,
        "VERY_FAR",
        lambda x: halved(inputs(*far(sd=x), score=None)),
        silent=299.0,
        faulty=301.0,
    ),
    Limit(input_out_of_range, "SAMPLES", lambda n: inputs(*far(count=n)), silent=1, faulty=2),
    Limit(
        input_out_of_range, "GAINED", lambda x: inputs(*far(), score=x), silent=0.69, faulty=0.71
    ),
    Limit(
        input_out_of_range,
        "GREY",
        lambda x: inputs(*far(high=x)),
        silent=256.0,
        faulty=255.0,
        says=says("x = x / 255"),
    ),
    Limit(
        input_out_of_range,
        "GREY",
        lambda x: inputs(*far(high=x)),
        silent=1.0,
        faulty=1.1,
        says=says("x = x / 255"),
    ),
    Limit(
        input_out_of_range,
        "GREY",
        lambda x: inputs(*far(low=x, high=200.0)),
        silent=-0.1,
        faulty=0.0,
        says=says("x = x / 255"),
    ),
    *(
        Limit(
            input_out_of_range, "", lambda kind: inputs(*far(), first=kind), kind, faulty="Conv2d"
        )
        for kind in ("BatchNorm2d", "LayerNorm", "Embedding", "EmbeddingBag")
    ),
    Limit(input_out_of_range, "", lambda f: inputs(*far(finite=f)), silent=False, faulty=True),
    Limit(  # a file's batches hold more than what the model is called with
        input_out_of_range, "", lambda c: inputs(*far(), config=c), silent={}, faulty=OWN
    ),
    Limit(targets_out_of_range, "FAR", lambda x: targets(*far(sd=x)), silent=19.9, faulty=20.1),
    Limit(targets_out_of_range, "FAR", lambda x: targets(*far(-x, 1.0)), silent=18.9, faulty=19.1),
    Limit(
        targets_out_of_range, "FLAT", lambda x: targets(*far(0.0, x)), silent=0.0101, faulty=0.0099
    ),
    Limit(  # in the mean of the batches
        targets_out_of_range, "", lambda x: targets(*far(), *far(sd=x)), silent=8.8, faulty=9.2
    ),
    Limit(targets_out_of_range, "SAMPLES", lambda n: targets(*far(count=n)), silent=1, faulty=2),
    Limit(
        targets_out_of_range, "GAINED", lambda x: targets(*far(), score=x), silent=0.69, faulty=0.71
    ),
    Limit(
        targets_out_of_range,
        "ARRIVED",
        lambda x: targets(*far(), score=None, left=x),
        silent=0.89,
        faulty=0.91,
    ),
    Limit(  # where nothing says how much is learned, nothing is said
        targets_out_of_range,
        "",
        lambda x: targets(*far(), score=None, left=x),
        silent=None,
        faulty=1.0,
    ),
    Limit(targets_out_of_range, "", lambda k: targets(*far(), kind=k), "classes", "real"),
    Limit(targets_out_of_range, "", lambda f: targets(*far(finite=f)), silent=False, faulty=True),
    Limit(same_answer_for_all, "LAST", lambda n: answers(0.0, count=n), silent=2, faulty=3),
    Limit(same_answer_for_all, "ALIKE", answers, silent=0.0101, faulty=0.0099),
    Limit(same_answer_for_all, "ALIKE", lambda x: answers(0.01, wanted=x), 0.99, 1.01),
    *(
        Limit(
            same_answer_for_all,
            "OF_SIZE",
            lambda x, size=size, wanted=wanted: answers(x, wanted, size, kind="classes"),
            *(0.0101, 0.0099),
        )
        for size, wanted in ((10.0, 1.0), (-10.0, 1.0), (10.0, None))
    ),
    Limit(same_answer_for_all, "", lambda x: answers(0.0, score=x), silent=0.69, faulty=0.71),
    Limit(same_answer_for_all, "FEW", lambda n: answers(0.0, step=n), silent=15, faulty=16),
    Limit(  # of inputs that are alike, answers may be
        same_answer_for_all, "", lambda x: answers(0.0, varied=x), silent=0.0, faulty=1e-6
    ),
    Limit(same_answer_for_all, "", silent_units, silent=0.99, faulty=1.0),
    Limit(same_answer_for_all, "", lambda n: silent_units(1.0, n), silent=0, faulty=1),
    Limit(
        same_answer_for_all,
        "",
        lambda x: answers(0.0, score=x),
        silent=0.94,
        faulty=0.96,
        says=error,
    ),
    Limit(codebook_collapsed, "SAMPLES", lambda n: codes(*[2.0] * n), silent=2, faulty=3),
    Limit(codebook_collapsed, "SAMPLES", lambda p: codes(p, 2.0, 2.0), silent=13.0, faulty=2.0),
    Limit(codebook_collapsed, "USED", lambda p: codes(p, p, p), silent=12.9, faulty=12.7),
    Limit(  # of fewer vectors than codes no more can be in use
        codebook_collapsed, "USED", lambda n: codes(*[8.0] * 3, vectors=n), silent=159, faulty=161
    ),
    Limit(codebook_collapsed, "TWO", lambda p: codes(p, p, p, size=16), silent=2.02, faulty=1.98),
    Limit(codebook_collapsed, "TWO", lambda p: codes(p, p, p, size=0), silent=2.02, faulty=1.98),
    Limit(codebook_collapsed, "GROWS", lambda p: codes(4.0, p, p), silent=5.3, faulty=5.1),
    Limit(codebook_collapsed, "FEW", lambda n: codes(*[2.0] * 3, step=n), silent=15, faulty=16),
    Limit(
        codebook_collapsed,
        "contract.LEARNED",
        lambda x: codes(*[2.0] * 3, left=x),
        silent=0.09,
        faulty=0.11,
    ),
    Limit(features_collapsed, "SAMPLES", lambda n: features(n, cosine=1.0), silent=2, faulty=3),
    Limit(features_collapsed, "FEW", lambda n: features(step=n, cosine=1.0), silent=15, faulty=16),
    *(
        Limit(
            features_collapsed, "COSINE", lambda x, at=at: features(cosine=x, at=at), 0.9978, 0.9982
        )
        for at in ("features", "end")
    ),
    Limit(  # what a net ends in where it has a target is no feature
        features_collapsed,
        "",
        lambda x: features(cosine=1.0, at="end", left=x),
        silent=1.0,
        faulty=None,
    ),
    Limit(features_collapsed, "", lambda n: features(cosine=1.0, optimizers=n), 2, 1),
    Limit(features_collapsed, "FELL", lambda x: nearer(x), silent=0.51, faulty=0.49),
    Limit(features_collapsed, "NEAR", lambda x: nearer(0.3, x), silent=0.79, faulty=0.81),
    Limit(features_collapsed, "", lambda at: nearer(0.3, at=at), silent="end", faulty="features"),
    Limit(features_collapsed, "SAME", lambda x: features(views=x), silent=1.1e-6, faulty=0.9e-6),
    Limit(  # of length 1 over the samples, and not over the features
        features_collapsed,
        "UNIT",
        lambda x: features(columns=x, rows=0.5),
        silent=1.1e-3,
        faulty=0.9e-3,
    ),
    Limit(
        features_collapsed,
        "UNIT",
        lambda x: features(columns=1e-7, rows=x),
        silent=0.9e-3,
        faulty=1.1e-3,
    ),
    Limit(
        features_collapsed,
        "",
        lambda norm: features(graph={"normed_over_batch": norm}),
        silent=False,
        faulty=True,
    ),
    Limit(posterior_unused, "NEXT_TO_NOTHING", code, silent=0.0303, faulty=0.0297),
    Limit(posterior_unused, "NEXT_TO_NOTHING", lambda x: code(before=x), 0.0303, 0.0297),
    Limit(posterior_unused, "SAMPLES", lambda n: code(count=n), silent=2, faulty=3),
    Limit(posterior_unused, "FEW", lambda n: code(step=n), silent=15, faulty=16),
    Limit(posterior_unused, "", lambda n: code(optimizers=n), silent=2, faulty=1),
)
