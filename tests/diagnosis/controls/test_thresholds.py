"""Controls on either side of each of their limits: what is judged differs a little, the word a lot.

The figures are written down here, not read from the controls, so that a limit that moves is seen.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from famulus.config.schema import Optimizer
from famulus.diagnosis.controls import learning_rate as rates
from famulus.diagnosis.controls.bench import Fit
from famulus.diagnosis.controls.duplicates import Copies, copies, duplicates
from famulus.diagnosis.controls.floors import initial_loss
from famulus.diagnosis.controls.input_use import Learned, input_use
from famulus.diagnosis.controls.labels import labels
from famulus.diagnosis.controls.loader_speed import loader_speed
from famulus.diagnosis.controls.overfit import overfit
from famulus.diagnosis.controls.ranges import ranges
from famulus.diagnosis.controls.split import split
from famulus.diagnosis.controls.targets import Looks, targets
from famulus.diagnosis.controls.validation import validation
from famulus.diagnosis.controls.weights_move import Weight, moves


@dataclass(frozen=True)
class Limit:
    """`judge(figure)` gives a Control; of what it says, `word` is (cause, verdict) on each side."""

    judge: Callable[[Any], Any]
    below: Any
    above: Any
    words: tuple[tuple[str, str], tuple[str, str]]  # below, above

    def __str__(self) -> str:
        return f"{self.words[1][0] or self.words[0][0]}-{self.below}-{self.above}"


OK = ("", "ok")
SKIPPED = ("", "skipped")


def failed(cause: str) -> tuple[str, str]:
    return cause, "failed"


def warns(cause: str) -> tuple[str, str]:
    return cause, "warning"


# -- histories of a few steps ----------------------------------------------------------------


def shared(exact=0, near=0, of=10_000):
    return duplicates(Copies(exact, near, of, 50_000))


def alike(correlation, shape=(8, 8)):
    """Two samples whose thumbnails are themselves."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, math.prod(shape)))
    a -= a.mean()
    a /= np.linalg.norm(a)
    b -= b.mean()
    b -= a * (a @ b)
    b /= np.linalg.norm(b)
    twin = correlation * a + math.sqrt(1 - correlation**2) * b
    one, other = (torch.from_numpy(v.reshape(1, 1, *shape)) for v in (a, twin))
    return duplicates(copies(one, other))


def waits(share):
    return loader_speed(share, 1 - share, 8)


def weight(moved=True, reached=True, numbers=10, largest=1.0):
    return Weight("w", True, True, numbers, True, reached, moved, largest)


def silent(share):
    still = weight(moved=False, reached=False, numbers=round(1000 * share))
    return moves([still, weight(numbers=round(1000 * (1 - share)))], [], 3)


def fits(table, default=0.9, **options):
    """Of a first loss of 1: the last loss by (input, factor on the rate)."""

    def fit(kind, factor):
        last = table.get((kind, factor), default)
        return Fit(1.0, last, last, 300)

    return overfit(fit, "recon", **options)


def eval_gap(judged, other=None):
    return overfit(lambda kind, factor: Fit(1.0, 0.2, judged, 300, other), "recon")


def used(true, zeroed=1.0, shuffled=1.0, noise=1.0, before=1.0, frozen=0.5, blind=0.5, slow=None):
    """Held-out losses of a short training, and what one frozen batch comes to.

    slow: of true pairs, of zeroed input and, where it is another figure, of shuffled pairs, by the
    factor on the rate: lower ones learn as much from either where nothing else is given.
    """
    after = {"true": true, "zeroed": zeroed, "shuffled": shuffled, "noise": noise}
    last = {"true": frozen, "zeroed": blind}

    def learn(kind, factor):
        given = (slow or {}).get(factor, (0.5, 0.5))
        slower = {"true": given[0], "zeroed": given[1], "shuffled": given[-1]}
        return Learned(before, after[kind] if factor == 1 else slower[kind], before + 1, 60)

    return input_use(learn, lambda kind, factor: Fit(1.0, last[kind], 0.5, 60), "recon")


def deaf(**slow):
    """Nothing of what is learned is owed to the input, at the configured rate."""
    return used(0.5, 0.5, 0.5, 0.5, **slow)


def called(mean=0.0, sd=1.0):
    values = torch.tensor([[mean - sd], [mean + sd]], dtype=torch.float64)
    return ranges({"image": values}, {"image": values})


def judged(tried, summed=1e6, lr=1e-5, optimizer="sgd", updates=1000, suggestion=0.01):
    """A range test that suggests .01; `tried`: rate -> last loss (of 1), distance."""
    sweep = rates.Sweep([suggestion / 4, suggestion / 2, suggestion], [1.0, 0.9, 0.5], None)

    def trial(rate):
        last, distance = tried(rate)
        return rates.Tried(1.0, last, distance)

    return rates.rate(sweep, trial, Optimizer(name=optimizer, lr=lr), summed, updates)


def near_the_suggestion(rate):
    return (0.2 if rate > 5e-3 else 0.99), 1.0


def at_one(last, slower, where=None):
    """At a configured rate of 1, and at lower ones, or at this one alone; .003 is suggested."""

    def tried(rate):
        if rate == 1:
            return last, 1.0
        return (slower if where is None or math.isclose(rate, where) else 1.0), 1.0

    return judged(tried, lr=1.0, suggestion=0.003)


def apart(d, size=40):
    """Two groups whose means lie `d` pooled standard deviations apart, and overlap."""
    wave = np.resize([1.0, -1.0, 3.0, -3.0], size)[:, None]
    wave = wave / wave.std()
    return split({"level": wave}, {"level": wave + d})


def dealt(renumbered, right=0.1):
    """Of ten classes: shares that are right as they are, and under another numbering."""
    confusion = np.full((10, 10), (1 - right - renumbered) / 8)
    for k in range(10):
        confusion[k, k], confusion[k, (k + 1) % 10] = right, renumbered
    counts = np.full(10, 100)
    return labels((None, None), (counts, counts), confusion)


def shares(moved, samples=100_000):
    """Two classes, half each in training; in validation one of them has `moved` more."""
    counts = np.array([[0.5, 0.5], [0.5 + moved, 0.5 - moved]]) * samples
    return labels((None, None), (counts[0], counts[1]))


def redrawn(moving=0.5, frozen=0.04, samples=8):
    last = {True: frozen, False: moving}
    return targets(
        Looks(False, False, True), samples, lambda f: Fit(1.0, last[f], 0.0, 300), best=0.0
    )


def twice(gap):
    return validation({"loss": 1.0}, {"loss": 1.0 - gap}, [], [])


LIMITS = (
    Limit(lambda n: shared(exact=n), 100, 101, (OK, warns("duplicates-across-split"))),
    Limit(
        lambda n: shared(exact=n),
        1000,
        1001,
        (warns("duplicates-across-split"), failed("duplicates-across-split")),
    ),
    Limit(lambda n: shared(near=n), 500, 501, (OK, warns("duplicates-across-split"))),
    Limit(alike, 0.9965, 0.9975, (OK, warns("duplicates-across-split"))),
    Limit(  # of fewer numbers than 16 any two may be alike
        lambda n: alike(0.9999, shape=(n,)), 15, 16, (OK, warns("duplicates-across-split"))
    ),
    Limit(
        lambda x: initial_loss("loss", 2.0, 2.0 * x), 2.98, 3.02, (OK, warns("wrong-initial-loss"))
    ),
    Limit(
        lambda x: initial_loss("loss", 2.0, 2.0 / x), 2.98, 3.02, (OK, warns("wrong-initial-loss"))
    ),
    Limit(  # of a theory at or below 0: by differences
        lambda x: initial_loss("loss", 0.0, x), 0.98, 1.02, (OK, warns("wrong-initial-loss"))
    ),
    Limit(
        lambda x: initial_loss("loss", -0.5, -0.5 - x),
        0.98,
        1.02,
        (OK, warns("wrong-initial-loss")),
    ),
    Limit(
        lambda x: initial_loss("loss", -4.0, -4.0 - x), 3.9, 4.1, (OK, warns("wrong-initial-loss"))
    ),
    Limit(waits, 0.248, 0.252, (OK, warns("loader-bound"))),
    Limit(
        lambda x: moves([weight(), weight(moved=False, largest=x)], [], 3),
        0.98e-9,
        1.02e-9,
        (failed("vanishing-gradient"), failed("weights-do-not-move")),
    ),
    Limit(silent, 0.49, 0.51, (OK, failed("weights-do-not-move"))),
    Limit(lambda x: fits({}, default=x), 0.49, 0.51, (OK, failed("cannot-overfit"))),
    Limit(lambda x: fits({}, default=x, best=0.4), 0.69, 0.71, (OK, failed("cannot-overfit"))),
    Limit(lambda x: fits({("zeroed", 1.0): x}), 0.98, 1.02, (failed("cannot-overfit"), OK)),
    *(
        Limit(
            lambda f: fits({("true", f): 0.1}), 2 * factor, factor, (failed("cannot-overfit"), OK)
        )
        for factor in (10.0, 100.0)
    ),
    Limit(
        lambda f: fits({("true", f): 0.1}, default=1.1),
        0.02,
        0.01,
        (failed("cannot-overfit"), failed("rate-too-high")),
    ),
    Limit(lambda n: fits({}, weights=n, numbers=1000), 99, 100, (OK, failed("cannot-overfit"))),
    Limit(  # a tenth of what a sweep promises, too
        lambda f: fits({("true", f): 0.1}, faster=5000.0),
        450.0,
        500.0,
        (failed("cannot-overfit"), OK),
    ),
    Limit(eval_gap, 0.59, 0.61, (OK, failed("train-eval-gap"))),  # half of .8 above .2
    Limit(  # noise that is as large in training mode is learned by heart, too
        lambda x: eval_gap(0.9, other=x), 0.59, 0.61, (failed("train-eval-gap"), OK)
    ),
    Limit(lambda x: used(x, zeroed=2.0, shuffled=2.0, noise=2.0), 1.048, 1.052, (OK, SKIPPED)),
    Limit(  # a twentieth of what was learned is owed to the input
        lambda x: used(0.5, 0.5 + x, 0.5 + x, 0.5 + x), 0.0245, 0.0255, (SKIPPED, OK)
    ),
    Limit(  # ahead of both by a hundredth: it is read
        lambda x: used(0.5, 0.5 + 0.5 * x, 0.6, 0.5),
        0.0098,
        0.0102,
        (failed("input-unused"), SKIPPED),
    ),
    Limit(  # one frozen batch, with the input and without it
        lambda x: used(0.5, 0.5001, 0.5001, 0.5, frozen=0.5, blind=0.5 + 0.5 * x),
        0.098,
        0.102,
        (failed("input-unused"), OK),
    ),
    Limit(  # or half the loss without it, where little of the way is
        lambda x: used(0.5, 0.5001, 0.5001, 0.5, frozen=0.01, blind=x),
        0.0198,
        0.0202,
        (SKIPPED, OK),
    ),
    Limit(  # too little is learned of it
        lambda x: used(0.5, 0.5001, 0.5001, 0.5, frozen=1 - x, blind=1 - x),
        0.048,
        0.052,
        (SKIPPED, failed("input-unused")),
    ),
    Limit(  # a twentieth of the first loss is learned at a tenth of the rate, from the input
        lambda x: deaf(slow={0.1: (1 - x, 1.0)}),
        0.048,
        0.052,
        (failed("input-unused"), failed("rate-too-high")),
    ),
    Limit(  # zeros are another input than noise, and other noise is none
        lambda x: deaf(slow={0.1: (0.5, 1.0, 0.5 + 0.5 * x)}),
        0.098,
        0.102,
        (failed("input-unused"), failed("rate-too-high")),
    ),
    Limit(  # and a tenth of what is learned there is owed to it
        lambda x: deaf(slow={0.1: (0.5, 0.5 + 0.5 * x)}),
        0.098,
        0.102,
        (failed("input-unused"), failed("rate-too-high")),
    ),
    *(
        Limit(
            lambda f: deaf(slow={f: (0.1, 1.0)}),
            2 * factor,
            factor,
            (failed("input-unused"), failed("rate-too-high")),
        )
        for factor in (0.1, 0.01)
    ),
    Limit(lambda x: called(mean=x), 28.9, 29.1, (OK, failed("input-out-of-range"))),
    Limit(lambda x: called(sd=x), 29.9, 30.1, (OK, failed("input-out-of-range"))),
    Limit(lambda x: called(sd=x), 0.98e-3, 1.02e-3, (failed("input-out-of-range"), OK)),
    Limit(  # so many updates at the suggested rate
        lambda x: judged(near_the_suggestion, summed=0.01 * x, updates=1),
        9.8,
        10.2,
        (warns("rate-too-low"), OK),
    ),
    Limit(  # the same, if the schedule had kept the rate up
        lambda x: judged(near_the_suggestion, summed=0.01, updates=round(1000 * x)),
        9.8,
        10.2,
        (warns("rate-too-low"), warns("rate-cannot-reach")),
    ),
    Limit(  # half the distance of a trial, by steps that are bounded by the rate
        lambda x: judged(near_the_suggestion, summed=x, optimizer="adam"),
        0.49,
        0.51,
        (warns("rate-cannot-reach"), OK),
    ),
    Limit(  # a tenth of the suggestion that comes half as far is enough
        lambda x: judged(
            lambda r: ({0.01: 0.2, 1e-3: 1 - 0.8 * x}.get(round(r, 6), 0.99), 1.0),
            summed=0.05,
            updates=1,
        ),
        0.49,
        0.51,
        (warns("rate-too-low"), OK),
    ),
    Limit(  # a loss without a bottom is another's cause
        lambda x: judged(lambda r: (-x if r > 5e-3 else 0.99, 1.0), summed=0.01, updates=1),
        9.8,
        10.2,
        (warns("rate-too-low"), OK),
    ),
    *(  # what a lower rate gains is too little to tell, but the configured one makes the loss rise
        Limit(lambda x: at_one(1 + x, 0.97), below, above, (OK, failed("rate-too-high")))
        for below, above in ((0.048, 0.052), (0.0, math.nan))
    ),
    Limit(  # a lower rate gains a twentieth of the first loss, the configured one nothing
        lambda x: at_one(1.0, 1 - x), 0.048, 0.052, (OK, failed("rate-too-high"))
    ),
    Limit(  # or a quarter of what the lower one gains
        lambda x: at_one(1 - x, 0.2), 0.198, 0.202, (failed("rate-too-high"), OK)
    ),
    Limit(  # one that halves the loss is none that stands in the way
        lambda x: at_one(1 - x, -2.0), 0.49, 0.51, (failed("rate-too-high"), OK)
    ),
    *(
        Limit(lambda r: at_one(1.0, 0.2, where=r), 2 * rate, rate, (OK, failed("rate-too-high")))
        for rate in (0.1, 0.01, 0.003)
    ),
    Limit(apart, 1.48, 1.52, (OK, warns("split-differs"))),
    Limit(dealt, 0.29, 0.31, (OK, failed("labels-differ"))),  # .1 are right as it is
    Limit(lambda x: dealt(x, right=0.3), 0.59, 0.61, (OK, failed("labels-differ"))),  # twice
    Limit(shares, 0.248, 0.252, (OK, warns("split-differs"))),
    Limit(  # three times what as many samples of equal kinds differ by: 2 sqrt(1 / 400)
        lambda n: shares(0.3, samples=n), 390, 410, (OK, warns("split-differs"))
    ),
    Limit(lambda n: apart(0.0, n), 3, 4, (SKIPPED, OK)),
    Limit(lambda x: redrawn(moving=0.04 * x), 4.9, 5.1, (OK, failed("targets-redrawn"))),
    Limit(lambda n: redrawn(samples=n), 64, 65, (failed("targets-redrawn"), OK)),
    Limit(  # what stays frozen must be learned half way
        lambda x: redrawn(moving=9.0, frozen=x), 0.49, 0.51, (failed("targets-redrawn"), OK)
    ),
    Limit(twice, 0.0198, 0.0202, (OK, warns("train-eval-gap"))),
)


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_a_control_changes_its_word_at_its_limit(limit):
    controls = [limit.judge(figure) for figure in (limit.below, limit.above)]
    assert tuple((control.cause, control.verdict) for control in controls) == limit.words


@pytest.mark.parametrize(("owed", "is_tried"), [(0.0245, True), (0.0255, False)])
def test_lower_rates_are_tried_where_under_a_twentieth_is_owed_to_the_input(owed, is_tried):
    """What is too uneven to tell stays so: it is said that the rate is to be looked at first."""
    control = used(0.5, *[0.5 + owed] * 3, slow={0.1: (0.1, 1.0)})
    assert ("slower" in control.figures) is is_tried
    assert ("it is the rate" in control.text) is is_tried


def test_a_difference_must_be_sure():
    """Of 4 and 6 samples one in 210 ways to deal them out comes as far, of 8 and 8 2 in 12870."""
    for own, other, cause in ((4, 6, ""), (8, 8, "split-differs")):
        result = split({"level": tilted(own)}, {"level": tilted(other) + 9})
        assert result.cause == cause


def tilted(size):
    return np.resize([1.0, -1.0], size)[:, None]


def test_a_range_test_stops_at_four_times_its_best_smoothed_loss():
    """A loss of 1 and then of h, smoothed by .8, is h - (h - 1) .8^k after k steps."""

    def stops(height):
        losses = iter([1.0] * 60 + [height] * 40)
        return rates.sweep(lambda rate: next(losses)).diverged

    assert stops(3.95) is None
    assert stops(4.05) is not None
    at = [1e-8 * 1e8 ** (n / 99) for n in range(100)]
    first = next(k for k in range(1, 40) if 13 - 12 * 0.8**k > 4)
    assert stops(13.0) == pytest.approx(at[60 + first - 1])


@pytest.mark.parametrize(("fall", "suggested"), [(0.9e-3, None), (1.1e-3, 3e-3)])
def test_a_rate_is_suggested_where_the_loss_falls_by_a_thousandth(fall, suggested):
    result = rates.Sweep([1e-3, 2e-3, 3e-3, 4e-3], [2.0, 2.0, 2.0 * (1 - fall), 2.0], None)
    assert result.suggestion == suggested
    at_once = rates.Sweep([1e-3, 2e-3, 3e-3], [2.0, 1.0, 1.5], None)
    assert at_once.suggestion is None  # the first steps are not yet a fall


@pytest.mark.parametrize(("factor", "is_named"), [(7.9, False), (8.1, True), (1 / 7.9, False)])
def test_a_factor_between_two_parts_is_told_from_eight_on(factor, is_named):
    wave = np.resize([1.0, 1.01], 40)[:, None]
    result = split({"level": factor * wave}, {"level": wave})
    assert result.cause == "split-differs"
    assert ("a factor of" in result.text) is is_named
