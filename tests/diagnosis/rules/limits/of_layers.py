"""Limits of the rules that read layers of sampled steps."""

from famulus.diagnosis.rules import (
    dead_units,
    exploding_gradient,
    rate_too_high,
    saturated_units,
    vanishing_gradient,
    weights_do_not_move,
)
from tests.diagnosis.rules.limits.limit import Limit, run

FLOOR = {"loss": 1.0}


def sampled(samples, score=1.0, losses=(1.0,) * 20, **fields):
    """A run of these layers, a list a sample, whose score is a share of the best constant's."""
    probes = [{"step": n, "layers": layers} for n, layers in enumerate(samples)]
    return run(losses, [{"loss": score}], floors=FLOOR, probes=probes, **fields)


def weights(name, **values):
    return {"name": name, "type": "Linear", "numbers": 100, "grad": 1.0, "weight": 1.0} | values


def units(kind, **values):
    return {"name": f"a {kind}", "type": kind, "numbers": 0} | values


def dead(*shares, score=1.0):
    return sampled([[units("ReLU", dead=share, zeros=share)] for share in shares], score)


def deep(gradients, samples=3, score=1.0, **fields):
    layers = [weights(str(n), grad=g) for n, g in enumerate(gradients)]
    return sampled([layers] * samples, score, **fields)


def bent(sigmoids, score, steps=20):
    """Gradients that vanish through so many sigmoids, which are functions and no layers."""
    history = deep([1e-9, 1, 1, 1], 3, score, losses=(1.0,) * steps)
    history.facts["graph"] = {"ops": {"Sigmoid": sigmoids, "Relu": 9}}
    return history


def growing(*gradients):
    return sampled([[weights("0", grad=0.001 * g)] for g in gradients])


def flat(*shares, score=0.9):
    """Saturated in the layer before the last one."""
    return sampled([[units("Tanh", saturated=s), weights("1")] for s in shares], score)


def steep(update, samples=6, **fields):
    return sampled([[weights("0", update=update)]] * samples, **fields)


def standing(*losses, chance=None):
    """Steps that are too large, and no baseline but, perhaps, a guess among equal choices."""
    probes = steep(0.5).probes
    return run(losses, probes=probes, facts={"graph": {"chance": chance}} if chance else {})


def early(large, update, first=0.0):
    """Of samples 1 to 7, so many first ones with large updates; the rest have small ones."""
    updates = [first] + [update] * large + [0.01] * (7 - large)
    return sampled([[weights("0", update=u)] for u in updates])


def against(out, update=0.5, logs=10):
    """Two optimizers; the second moves its layer by `update`; losses rise `out` times."""
    layers = [weights("0", update=0.001), weights("1", update=update)]
    pair = [{"class": "Adam", "lr": 0.01, "holds": [str(n)]} for n in range(2)]
    losses = [1.0] + [out] * (logs - 1)
    return sampled(
        [layers] * 6, losses=losses, config={"task": "own-loop", "training": {"optimizers": pair}}
    )


def risen(to, logs=20):
    """A least loss of .2, and the last fifth of the logs at `to` times that."""
    last = logs // 5
    return ending(*[0.2 * to] * last, logs=logs)


def ending(*last, level=0.2, logs=20):
    return steep(0.5, score=0.5, losses=[level] * (logs - len(last)) + list(last))


def still(samples=3, share=1.0, gradient=0.1):
    """A layer that stays as it is, with `share` of the weights; another one moves."""
    held = weights("0", numbers=int(1000 * share), moved=False, held=True, grad=gradient)
    rest = weights("1", numbers=int(1000 * (1 - share)), moved=True, held=True)
    return sampled([[held, rest]] * samples)


def frozen(share=1.0, fresh=True, score=1.0):
    """A layer that asks for no gradient, with `share` of the weights, as torch draws it or not."""
    held = weights("0", numbers=int(1000 * share), trainable=False, moved=False, grad=None)
    rest = weights("1", numbers=int(1000 * (1 - share)), moved=True, held=True)
    start = [{"name": "0", "fresh": fresh}, {"name": "1", "fresh": True}]
    return sampled([[held, rest]] * 3, score, facts={"start": start})


def strange(samples=3, looked_at=3):
    """So many samples in which the model calls what it does not have, of those looked at."""
    calls = [{"strangers": [{"type": "Linear", "numbers": 9}]}] * samples
    loops = [*calls, *[{"training": True}] * (looked_at - samples)]
    probes = [{"step": n, "layers": [], "loop": loop} for n, loop in enumerate(loops)]
    return run([1.0] * 20, probes=probes)


def blames(cause):
    return lambda finding: cause in finding.consequences


LIMITS = (
    Limit(dead_units, "SHARE", lambda x: dead(x, x, x), silent=0.69, faulty=0.71),
    Limit(dead_units, "SHARE", lambda x: dead(0.8, 0.8, 0.8, x), silent=0.69, faulty=0.71),
    Limit(dead_units, "SHARE", lambda x: dead(0.8, 0.8, x, 0.8), silent=0.69, faulty=0.71),
    Limit(dead_units, "ALL", lambda x: dead(x, x, x), 0.985, 0.995, says=blames("input-unused")),
    Limit(dead_units, "", lambda n: dead(*[0.9] * n), silent=2, faulty=3),
    Limit(dead_units, "", lambda x: dead(0.9, 0.9, 0.9, score=x), silent=0.69, faulty=0.71),
    Limit(exploding_gradient, "FACTOR", lambda x: deep([x, 20, 20, 1]), silent=99, faulty=101),
    Limit(exploding_gradient, "GROWN", lambda x: growing(1, 1, 1, x), silent=990, faulty=1010),
    Limit(  # since the median of the first three samples
        exploding_gradient, "", lambda x: growing(0.01, 1, 5, 5, 5, x), silent=990, faulty=1010
    ),
    Limit(exploding_gradient, "STEEP", lambda x: deep([x]), silent=29.5, faulty=30.5),
    Limit(  # of the median layer, not of the worst or the mean one
        exploding_gradient, "STEEP", lambda x: deep([x, 1e3, 1]), silent=29.5, faulty=30.5
    ),
    Limit(exploding_gradient, "LAYERS", lambda n: deep([1e3] + [1] * (n - 1)), silent=3, faulty=4),
    Limit(exploding_gradient, "", lambda n: deep([40], samples=n), silent=2, faulty=3),
    Limit(exploding_gradient, "", lambda x: deep([40], score=x), silent=0.94, faulty=0.96),
    Limit(
        exploding_gradient,
        "STEEP",
        lambda x: deep([x, x, x, x / 1e3]),
        silent=29.5,
        faulty=30.5,
        says=blames("rate-too-high"),
    ),
    Limit(vanishing_gradient, "FACTOR", lambda x: deep([x, 0.1, 0.1, 1]), 1.02e-3, 0.98e-3),
    Limit(vanishing_gradient, "LAYERS", lambda n: deep([1e-9] + [1] * (n - 1)), silent=3, faulty=4),
    Limit(vanishing_gradient, "", lambda n: deep([1e-9, 1, 1, 1], n), silent=2, faulty=3),
    Limit(vanishing_gradient, "", lambda x: deep([1e-9, 1, 1, 1], 3, x), silent=0.94, faulty=0.96),
    Limit(
        vanishing_gradient,
        "DEEP",
        lambda n: deep([1e-9] + [1] * (n - 1)),
        silent=7,
        faulty=8,
        says=blames("dead-units"),
    ),
    Limit(vanishing_gradient, "FLAT", lambda x: bent(4, x), silent=0.69, faulty=0.71),
    Limit(vanishing_gradient, "LAYERS", lambda n: bent(n, 0.9), silent=3, faulty=4),
    Limit(vanishing_gradient, "", lambda n: bent(4, 0.9, steps=n), silent=15, faulty=16),
    Limit(rate_too_high, "LARGE", steep, silent=0.098, faulty=0.102),
    Limit(rate_too_high, "EARLY", lambda n: early(n, update=0.12), silent=2, faulty=3),
    Limit(rate_too_high, "EARLY", lambda n: early(n, update=0.5), silent=2, faulty=3),
    Limit(rate_too_high, "", lambda n: steep(0.5, samples=n), silent=2, faulty=3),
    Limit(rate_too_high, "RISEN", risen, silent=1.28, faulty=1.32),
    # The last fifth, of two logs at least, over the least mean of three.
    Limit(rate_too_high, "", lambda x: ending(x, 0.24, 0.24, 0.24), silent=0.31, faulty=0.33),
    Limit(rate_too_high, "", lambda x: ending(x, 0.24, logs=9), silent=0.275, faulty=0.285),
    Limit(rate_too_high, "", lambda x: ending(x, *[0.2] * 9), silent=0.063, faulty=0.06),
    Limit(rate_too_high, "", lambda x: ending(x, 0.2, 0.2, 0.2, level=1), silent=0.43, faulty=0.45),
    Limit(rate_too_high, "", lambda x: ending(x, 0.35, 0.27, 0.05), silent=0.35, faulty=0.38),
    Limit(rate_too_high, "OUT", against, silent=4.9, faulty=5.1),
    Limit(rate_too_high, "LARGE", lambda x: against(9.0, x), silent=0.098, faulty=0.102),
    Limit(rate_too_high, "LOGS", lambda n: against(9.0, logs=n), silent=7, faulty=8),
    Limit(rate_too_high, "LOGS", lambda n: steep(0.5, losses=[1.0] * n), silent=7, faulty=8),
    Limit(rate_too_high, "", lambda x: steep(0.5, losses=[x] * 9), silent=0.96, faulty=0.98),
    Limit(rate_too_high, "", lambda x: steep(0.5, score=x), silent=0.96, faulty=0.98),
    Limit(rate_too_high, "WHOLE", lambda x: early(7, update=0.05, first=x), silent=0.9, faulty=1.1),
    Limit(
        rate_too_high,
        "FEW",
        lambda n: steep(0.5, losses=[0.9] + [5.0] * (n - 1)),
        silent=3,
        faulty=4,
    ),
    Limit(
        rate_too_high, "FAR", lambda x: steep(0.5, losses=[0.5, x, x, x]), silent=1.9, faulty=2.1
    ),
    Limit(
        rate_too_high, "FAR", lambda x: steep(0.5, losses=[2.0, x, x, x]), silent=3.9, faulty=4.1
    ),
    Limit(rate_too_high, "STOOD", lambda x: standing(2.0, *[2 * x] * 19), silent=0.94, faulty=0.96),
    Limit(
        rate_too_high,
        "learning.EQUAL",
        lambda x: standing(9.0, *[x] * 19, chance=1.0),
        silent=0.978,
        faulty=0.982,
    ),
    Limit(
        rate_too_high, "learning.FEW", lambda n: standing(9.0, *[1.0] * (n - 1), chance=1.0), 15, 16
    ),
    Limit(saturated_units, "SHARE", lambda x: flat(x, x), silent=0.49, faulty=0.51),
    Limit(saturated_units, "SHARE", lambda x: flat(0.9, 0.9, 0.9, x), silent=0.49, faulty=0.51),
    Limit(saturated_units, "SHARE", lambda x: flat(0.9, 0.9, x, 0.9), silent=0.49, faulty=0.51),
    # Where the rest has learned: most, at the first sample and at the last.
    Limit(saturated_units, "MOST", lambda x: flat(x, x, score=0.5), silent=0.74, faulty=0.76),
    Limit(
        saturated_units, "MOST", lambda x: flat(x, 0.9, 0.9, score=0.5), silent=0.74, faulty=0.76
    ),
    Limit(saturated_units, "", lambda n: flat(*[0.8] * n, score=0.5), silent=1, faulty=2),
    Limit(saturated_units, "", lambda x: flat(0.6, 0.6, score=x), silent=0.69, faulty=0.71),
    Limit(
        saturated_units,
        "SHARE",
        lambda x: flat(x, 0.9, 0.9),
        silent=0.49,
        faulty=0.51,
        says=blames("vanishing-gradient"),
    ),
    Limit(weights_do_not_move, "SAMPLES", still, silent=2, faulty=3),
    Limit(weights_do_not_move, "MOST", frozen, silent=0.49, faulty=0.51),
    Limit(weights_do_not_move, "", lambda f: frozen(fresh=f), silent=False, faulty=True),
    Limit(weights_do_not_move, "ENOUGH", lambda x: frozen(score=x), silent=0.69, faulty=0.71),
    Limit(weights_do_not_move, "SAMPLES", lambda n: strange(n, n), silent=2, faulty=3),
    Limit(weights_do_not_move, "", lambda n: strange(3, n), silent=4, faulty=3),
    Limit(
        weights_do_not_move,
        "MOST",
        lambda x: still(share=x, gradient=0.0),
        silent=0.49,
        faulty=0.51,
    ),
)
