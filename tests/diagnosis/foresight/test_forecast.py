"""Against laws whose end is known, invariances, and real curves of a net that fitted nothing."""

import math

import numpy as np
import pytest

from famulus.config.schema import Schedule
from famulus.diagnosis.foresight.backtest import Backtest, Curve, backtest
from famulus.diagnosis.foresight.forecast import Forecast, Refusal, Settings, forecast
from famulus.images.open import open_images
from famulus.schedule import Place, rate_to_come

N = 1_000_000


def scheduled(lr=1e-3, budget=N, **schedule):
    return rate_to_come(Schedule(**schedule), lr, Place(0, budget, 1, 0))


COSINE, CONSTANT = scheduled(name="cosine"), scheduled(name="constant")


def law(rate, share, points=60, floor=0.02, a=0.5, noise=0.0):
    """L = floor + .5 (1 + S / S0)^-a at `points` places up to `share` of the run."""
    n = np.linspace(0, N, 20_001)
    summed = np.concatenate([[0], np.cumsum([rate(x) for x in (n[:-1] + n[1:]) / 2])])
    at = np.linspace(0, share, points + 1)[1:] * N
    s = np.interp(at, n, summed) / summed[-1]
    scatter = 1 + noise * np.random.default_rng(0).standard_normal(points)
    return list(zip(at, (floor + 0.5 * (1 + s / 0.002) ** -a) * scatter, strict=True))


@pytest.mark.parametrize("rate", [COSINE, CONSTANT])
@pytest.mark.parametrize(("floor", "a"), [(0.02, 0.5), (0.0, 0.3), (0.05, 0.8)])
def test_a_law_in_the_summed_rate(rate, floor, a):
    end = law(rate, 1.0, floor=floor, a=a)[-1][1]
    seen = law(rate, 0.08, floor=floor, a=a)
    found = forecast(seen, rate, N)
    assert isinstance(found, Forecast)
    assert abs(found.value - end) < 0.8 * abs(seen[-1][1] - end)
    assert found.low < end < found.high


def test_the_schedule_is_used():
    """The same points under a rate that soon stops must end higher."""
    seen = law(CONSTANT, 0.08)
    soon = scheduled(name="step", factor=1e-6, every={"inputs": N // 10})
    assert forecast(seen, soon, N).value > 1.2 * forecast(seen, CONSTANT, N).value


@pytest.mark.parametrize("scale", [1e-3, 40.0])
def test_units_do_not_matter(scale):
    seen = law(COSINE, 0.08, noise=0.01)
    plain = forecast(seen, COSINE, N)
    scaled = forecast([(n, scale * v) for n, v in seen], COSINE, N)
    faster = forecast(seen, lambda n: scale * COSINE(n), N)
    counted = forecast([(n / 64, v) for n, v in seen], lambda n: COSINE(64 * n), N / 64)
    for name in ("value", "low", "high"):
        assert getattr(scaled, name) == pytest.approx(scale * getattr(plain, name), rel=1e-6)
        assert getattr(faster, name) == pytest.approx(getattr(plain, name), rel=1e-6)
        assert getattr(counted, name) == pytest.approx(getattr(plain, name), rel=1e-6)


def test_at_the_end_the_value_stays_and_the_noise_floor_holds():
    seen = law(COSINE, 0.999, points=200)
    tight, wide = (forecast(seen, COSINE, N, floor) for floor in (None, 0.05))
    assert tight.value == pytest.approx(seen[-1][1], rel=0.01)
    assert wide.value == tight.value
    for floor in (0.02, 0.05, 0.2):
        found = forecast(seen, COSINE, N, floor)
        assert found.low <= found.value * math.exp(-1.28 * floor)
        assert found.high >= found.value * math.exp(1.28 * floor)
    assert tight.high / tight.low < wide.high / wide.low


def test_the_training_curve_gives_the_shape_and_validation_the_level():
    train = law(COSINE, 0.08)
    one = [(train[-1][0], 1.3 * train[-1][1])]
    found, alone = forecast(one, COSINE, N, train=train), forecast(train, COSINE, N)
    assert found.value == pytest.approx(1.3 * alone.value, rel=0.01)


def saddle(share, leaves, points=40, constant=0.2, end=0.02):
    """Falls to the best constant at once, and on from there around `leaves` of a constant rate."""
    at = np.linspace(0, share, points + 1)[1:]
    start = 0.5 * np.exp(-at / 0.01)
    return list(zip(at * N, start + end + (constant - end) / (1 + (at / leaves) ** 4), strict=True))


def test_a_run_that_still_stands_at_the_constant_may_fall_far():
    seen, end = saddle(0.08, 0.35), saddle(1.0, 0.35)[-1][1]
    told, plain = (forecast(seen, CONSTANT, N, constant=c) for c in (0.2, None))
    assert plain.low > end  # the curve alone does not hold it
    assert told.low < 0.6 * plain.low
    assert abs(told.value / end - 1) < abs(plain.value / end - 1)
    below = forecast(seen, CONSTANT, N, constant=3 * seen[-1][1])  # has left it: nothing changes
    assert below == plain


def test_flat_far_below_the_constant_is_an_end_and_at_it_is_not():
    flat = [(n, 0.3) for n, _ in law(COSINE, 0.08)]
    assert isinstance(forecast(flat, COSINE, N, constant=0.32), Refusal)
    found = forecast(flat, COSINE, N, constant=1.0)
    assert found.low < 0.3 < found.high
    assert found.value == pytest.approx(0.3, rel=0.2)


@pytest.mark.parametrize("rate", [COSINE, CONSTANT])
def test_few_points_widen_the_interval(rate):
    end = law(rate, 1.0)[-1][1]
    found = [forecast(law(rate, 0.08, points=n), rate, N) for n in (2, 4, 16, 60)]
    widths = [one.high / one.low for one in found]
    assert widths == sorted(widths, reverse=True)
    assert all(one.low < end < one.high for one in found)


@pytest.mark.parametrize("rate", [COSINE, CONSTANT])
def test_validation_that_stands_still_is_believed_more_than_training_that_falls(rate):
    train = law(rate, 0.1, points=100)
    still = [(n, 0.1 + 0.0002 * (i % 2)) for i, (n, _) in enumerate(train[9::10])]
    found = forecast(still, rate, N, train=train)
    assert found.value == pytest.approx(0.1, rel=0.02)
    assert found.low < 0.1 < found.high
    along = [(n, 1.3 * v) for n, v in train[9::10]]  # and one that follows falls on as before
    twin, last = forecast(along, rate, N, train=train), forecast(along[-1:], rate, N, train=train)
    assert twin.value == pytest.approx(last.value, rel=0.01)
    assert twin.value < 0.8 * along[-1][1]


REFUSALS = {
    "no validation yet": {"history_val": []},
    "the budget is spent": {"history_val": law(COSINE, 1.0)},
    "only 1.0% of the run": {"history_val": law(COSINE, 0.01)},
    "only 1 points": {"history_val": law(COSINE, 0.08, points=1)},
    "not positive": {"history_val": [(n, v - 0.3) for n, v in law(COSINE, 0.08)]},
    "growth lies ahead": {"changes_ahead": "growth"},
    "not begun to fall": {"history_val": [(n, 0.3) for n, _ in law(COSINE, 0.08)]},
    "risen by": {
        "history_val": [(n, 0.1 + (n / N - 0.03) ** 2 * 50) for n, _ in law(COSINE, 0.08)]
    },
    "rate is not positive": {"rate": lambda n: 0.0},
    "anywhere from": {"settings": Settings((0.0,) * 4, 9.0, 0.0, -1.0, 1.0)},
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_refusals_say_why(reason):
    given = {"history_val": law(COSINE, 0.08), "rate": COSINE, "budget_inputs": N}
    assert isinstance(forecast(**given), Forecast)
    found = forecast(**(given | REFUSALS[reason]))
    assert isinstance(found, Refusal)
    assert reason in found.reason


def test_values_that_are_not_finite_are_left_out():
    seen = law(COSINE, 0.08)
    assert forecast([*seen[:-1], (seen[-2][0], math.nan), seen[-1]], COSINE, N) == forecast(
        seen, COSINE, N
    )


def regression(lr, name, seed, steps=600, batch=32):
    """A real run: softmax regression on the scanned digits, momentum, in NumPy."""
    splits = open_images("digits")
    sets = splits.train, splits.validation
    train, held_out = ((s.images.reshape(-1, 64) / 255, s.labels) for s in sets)
    random = np.random.default_rng(seed)
    rate = scheduled(lr, steps * batch, name=name)
    weights, speed = np.zeros((65, 10)), np.zeros((65, 10))

    def loss(x, labels):
        x = np.concatenate([x, np.ones((len(x), 1))], 1)
        logits = x @ weights
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return x, p, float(-np.log(p[np.arange(len(x)), labels]).mean())

    curves = {"train": [], "val": []}
    for step in range(steps):
        pick = random.integers(0, len(train[0]), batch)
        x, p, value = loss(train[0][pick], train[1][pick])
        p[np.arange(batch), train[1][pick]] -= 1
        speed = 0.9 * speed - rate(step * batch) * (x.T @ p) / batch
        weights = weights + speed
        curves["train"].append(((step + 1) * batch, value))
        if (step + 1) % 12 == 0:
            curves["val"].append(((step + 1) * batch, loss(*held_out)[2]))
    return Curve(curves["val"], rate, steps * batch, curves["train"])


def test_real_curves_end_nearer_to_the_forecast_than_to_the_last_value():
    curves = [
        regression(lr, name, seed)
        for seed, lr in enumerate((0.01, 0.03, 0.1))
        for name in ("constant", "cosine")
    ]
    found = backtest(curves)
    assert found.cutoffs == 36
    assert found.error < 0.5 * found.error_last
    assert found.refusals <= 0.2
    stays = Settings((0.0,) * 4, 0.05, 0.0, -1.0, 1.0)  # control: nothing more is to fall
    control = backtest(curves, settings=stays)
    assert control.error > 0.5 * control.error_last
    assert control.coverage < found.coverage


def test_backtest_counts():
    curve = Curve(law(COSINE, 1.0, points=400), COSINE, N)
    short = Curve(law(COSINE, 1.0, points=16), COSINE, N)  # 6.25 % is its first validation
    found = backtest([curve, short], shares=(0.05, 0.1))
    assert isinstance(found, Backtest)
    assert (found.cutoffs, sum(found.refused.values())) == (3, 1)
    assert found.refused == {"only # points of a curve: expected #": 1}
    with pytest.raises(ValueError, match="1 cut-offs, all refused"):
        backtest([short], shares=(0.1,))
