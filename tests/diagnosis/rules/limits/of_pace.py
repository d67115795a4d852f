"""Limits of the rules that judge how far a run came: on curves of known slope and way."""

import math

import numpy as np

from famulus.diagnosis.rules import (
    converged,
    loader_bound,
    plateau,
    rate_cannot_reach,
    rate_too_low,
)
from tests.diagnosis.rules.limits.limit import PER_STEP, Limit, run


def taught(share):
    """Steps too small to matter, and batches of which this share of a constant's error goes."""
    history = small()
    for n, probe in enumerate(history.probes):
        probe["forms"] = {"loss": "mse", "left": 0.9 if n == 0 else 0.9 - share}
    return history


def small(update=1e-3, losses=(1.0,) * 20, score=None):
    """Each step changes the one layer by this share of itself; with a score, that is a share of
    the best constant's."""
    layer = {"name": "0", "type": "Linear", "numbers": 9, "weight": 1.0, "update": update}
    val = [] if score is None else [{"loss": score}]
    probes = [{"step": n, "layers": [layer]} for n in range(6)]
    return run(losses, val, floors={"loss": 1.0} if val else {}, probes=probes)


def waiting(*shares, seconds=1e4, task="tiles"):
    """Shares of the time waited in each log; the two before them fill caches."""
    history = run([1.0] * (len(shares) + 2), config={"task": task})
    for event, share in zip(history.train, (0.9, 0.9, *shares), strict=True):
        event |= {"wait": share, "s": seconds}
    return history


def still(level=0.3, off=0.0, place=1, validations=9):
    """Validations at a level of the best constant's, the one at `place` from the end off it."""
    val = [level] * validations
    val[-place] *= 1 + off
    return run(val=[{"loss": v} for v in val], floors={"loss": 1.0})


def learned(gain, fall=0.4):
    """A straight line down by this share of its start, and the share of a constant's error that is
    gone in validation."""
    losses = [1 - fall * n / 20 for n in range(1, 21)]
    return run(losses, val=[{"loss": 1 - gain / 2}, {"loss": 1 - gain}], floors={"loss": 1.0})


def travelled(ways, losses, steps=None, **fields):
    """Logs with the way gone up to each, by the rate that leads there."""
    history, before, step = run(losses, **fields), 0.0, 0
    for event, way, at in zip(history.train, ways, steps or range(1, 1 + len(ways)), strict=True):
        event |= {"step": at, "lr": (way - before) / (at - step)}
        before, step = way, at
    return history


def evenly(losses, of_budget=1.0):
    ways = np.linspace(0, 1, len(losses) + 1)[1:].tolist()
    return travelled(ways, losses, facts={"budget": PER_STEP * len(losses) / of_budget})


def tailing(tail, loss, logs=40):
    """The last half of the steps goes this share of the way."""
    half = logs // 2
    first, second = np.linspace(0, 1 - tail, half + 1), np.linspace(1 - tail, 1, half + 1)
    ways = [*first[1:].tolist(), *second[1:].tolist()]
    return travelled(ways, [loss(way) for way in ways])


def straight(logs):
    return evenly([2 - n / logs for n in range(logs)])


def fall(to):
    """Straight from 1 to this, the first log after a step."""
    return np.linspace(1, to, 25)[1:].tolist()


def noisy(fit):
    """A line and a zigzag at right angles to it, so large that R^2 is `fit`."""
    x = np.linspace(-1, 1, 24)
    zigzag = np.resize([1.0, -1.0], 24)
    zigzag -= x * (x @ zigzag) / (x @ x)
    zigzag *= math.sqrt((x @ x) / (zigzag @ zigzag) * (1 / fit - 1))
    return evenly((5 - x + zigzag).tolist())


def bent(ratio, logs):
    """A line whose last third falls fast and then slowly: `ratio` times the slope of the whole."""
    third = logs // 3

    def curve(fast):
        falls = np.array([1.0] * (logs - third + 1) + [fast] * (third // 4) + [0.5] * logs)[:logs]
        return 100 - np.cumsum(falls)

    def slopes(fast):  # least squares
        return np.array([np.polyfit(range(n), curve(fast)[-n:], 1)[0] for n in (third, logs)])

    base, rise = slopes(0.0), slopes(1.0) - slopes(0.0)
    fast = (ratio * base[1] - base[0]) / (rise[0] - ratio * rise[1])
    return evenly(curve(fast).tolist())


def power(gain):
    """A loss that falls by this share with each doubling of the way."""
    return lambda way: way ** math.log2(1 - gain)


SHARES = (0.35, 0.45, 0.5, 0.6, 0.7, 0.8, 0.85)  # of the way, within .3 to .9


def outlier(way, loss):
    """Flat where it is measured, but for one log; most logs lie in the first half of the steps."""
    ways = sorted([0.05, 0.1, *SHARES, way, 0.96, 0.98, 1.0])
    steps = [*range(1, len(ways)), 40]
    return travelled(ways, [loss if w == way else 1.0 for w in ways], steps)


def measured(logs, within=None):
    """So many logs in all, `within` of them (or as many as there are) where it is measured."""
    inside = np.linspace(0.31, 0.89, within or logs - 4).tolist()
    outside = logs - len(inside)
    ways = [*np.linspace(0.1, 0.2, outside - 3).tolist(), *inside, 0.95, 0.98, 1.0]
    steps = [*range(1, logs), 3 * logs]
    return travelled(ways, [way**-0.5 for way in ways], steps)


LIMITS = (
    Limit(loader_bound, "LIMIT", lambda x: waiting(*[x] * 9), silent=0.248, faulty=0.252),
    Limit(loader_bound, "ENOUGH", lambda n: waiting(*[0.5] * n), silent=4, faulty=5),
    Limit(loader_bound, "LOST_S", lambda s: waiting(*[0.5] * 9, seconds=s), silent=3.9, faulty=4.1),
    Limit(  # of eight logs, three quarters must wait
        loader_bound, "", lambda n: waiting(*[0.4] * n, *[0.0] * (8 - n)), silent=6, faulty=7
    ),
    Limit(  # the time lost is that of the median log
        loader_bound,
        "LOST_S",
        lambda s: waiting(*[0.3] * 5, *[0.9] * 4, seconds=s),
        silent=6.6,
        faulty=6.7,
    ),
    Limit(  # of a loop of one's own less is a word
        loader_bound,
        "FAULT_S",
        lambda s: waiting(*[0.5] * 9, seconds=s, task="own-loop"),
        silent=119,
        faulty=121,
        says=lambda finding: finding.severity == "warning",
    ),
    Limit(converged, "FAR", still, silent=0.51, faulty=0.49),
    Limit(converged, "trend.STILL", lambda x: still(off=x), silent=0.0051, faulty=0.0049),
    Limit(converged, "trend.VALIDATIONS", lambda n: still(validations=n), silent=5, faulty=6),
    # The last third, of three validations at least.
    Limit(converged, "", lambda n: still(off=1, place=n, validations=15), silent=5, faulty=6),
    Limit(converged, "", lambda n: still(off=1, place=n, validations=6), silent=3, faulty=4),
    Limit(plateau, "FAR", still, silent=0.49, faulty=0.51),
    Limit(plateau, "NEAR", still, silent=0.985, faulty=0.975),
    Limit(rate_too_low, "TAIL", lambda x: tailing(x, lambda way: 3 - way), 0.098, 0.102),
    Limit(rate_too_low, "HALVED", lambda x: evenly(fall(x)), silent=0.49, faulty=0.51),
    Limit(  # a loss that crosses zero has no half
        rate_too_low, "", lambda x: evenly(fall(x)), silent=0.01, faulty=-0.01
    ),
    Limit(  # whoever has learned most of what there is has taken steps that were large enough
        *(rate_too_low, "MOST", learned, 0.51, 0.49),
        says=lambda finding: finding.severity == "warning",
    ),
    Limit(  # a net that its start has taught
        *(rate_too_low, "FELL", lambda x: learned(0.9, x), 0.102, 0.098),
        says=lambda finding: finding.severity == "warning",
    ),
    Limit(rate_too_low, "trend.LOGS", straight, silent=11, faulty=12),
    Limit(rate_too_low, "trend.STRAIGHT", noisy, silent=0.968, faulty=0.972),
    Limit(rate_too_low, "trend.STEEP", lambda x: bent(x, logs=24), silent=0.74, faulty=0.76),
    Limit(rate_too_low, "trend.STEEP", lambda x: bent(x, logs=12), silent=0.74, faulty=0.76),
    Limit(
        rate_too_low,
        "",
        lambda x: evenly([2 - n / 24 for n in range(24)], x),
        silent=0.945,
        faulty=0.955,
    ),
    Limit(rate_too_low, "WAY", small, silent=0.0505 / 20, faulty=0.0495 / 20),
    Limit(rate_too_low, "WAY", lambda n: small(2e-3, [1.0] * n), silent=26, faulty=24),
    Limit(  # of the mean of the first logs
        rate_too_low,
        "FALL",
        lambda x: small(losses=[2.0] * 10 + [2.0 * (1 - x)] * 10),
        silent=0.101,
        faulty=0.099,
    ),
    Limit(  # below 0 as above
        rate_too_low,
        "FALL",
        lambda x: small(losses=[-2.0] * 10 + [-2.0 * (1 + x)] * 10),
        silent=0.101,
        faulty=0.099,
    ),
    Limit(rate_too_low, "contract.TAUGHT", taught, silent=0.051, faulty=0.049),
    Limit(rate_too_low, "FEWEST", lambda n: small(losses=[1.0] * n), silent=5, faulty=6),
    Limit(rate_too_low, "", lambda x: small(score=x), silent=0.94, faulty=0.96),
    Limit(rate_too_low, "learning.FEW", lambda n: small(losses=[1.0] * n, score=1.0), 15, 16),
    Limit(
        *(rate_too_low, "learning.EQUAL", lambda x: small(score=x), 0.978, 0.982),
        says=lambda finding: finding.severity == "error",
    ),
    Limit(rate_cannot_reach, "TAIL", lambda x: tailing(x, power(0.3)), silent=0.102, faulty=0.098),
    Limit(rate_cannot_reach, "GAIN", lambda x: tailing(0.05, power(x)), silent=0.148, faulty=0.152),
    Limit(rate_cannot_reach, "BETWEEN", lambda x: outlier(x, 20.0), silent=0.29, faulty=0.31),
    Limit(rate_cannot_reach, "BETWEEN", lambda x: outlier(x, 0.05), silent=0.91, faulty=0.89),
    Limit(rate_cannot_reach, "LOGS", lambda n: measured(20, within=n), silent=5, faulty=6),
    Limit(rate_cannot_reach, "LOGS", measured, silent=11, faulty=12),
)
