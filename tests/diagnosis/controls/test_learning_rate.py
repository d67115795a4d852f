"""Rates: a quadratic with known limits, trials by a table, a task at rates that are none."""

import math

import pytest

from famulus.config.schema import Optimizer
from famulus.diagnosis.controls import learning_rate as rates
from tests.launch.sound import Sound, cause


def quadratic(curvature=1.0):
    """Plain gradient descent on c w^2 / 2: stable below 2 / c, best at 1 / c."""
    w = [10.0]

    def step(rate):
        loss = curvature * w[0] ** 2 / 2
        w[0] -= rate * curvature * w[0]
        return loss

    return step


@pytest.mark.parametrize("curvature", [10.0, 1000.0])
def test_the_range_test_stays_below_the_stability_limit(curvature):
    found = rates.sweep(quadratic(curvature))
    assert found.suggestion is not None
    assert 0.001 / curvature < found.suggestion < 2 / curvature
    assert found.diverged is None or found.diverged > 2 / curvature
    flat = rates.sweep(lambda rate: 1.0)
    assert (flat.suggestion, flat.diverged) == (None, None)


def judged(lr, summed, distance=0.5, name="adam", last=None, suggestion=0.01):
    """A net that learns the better the nearer the rate is to the suggestion."""
    sweep = rates.Sweep([suggestion / 4, suggestion / 2, suggestion], [1.0, 0.9, 0.5], None)

    def tried(rate):
        end = 1.0 - 0.8 * min(1.0, rate / suggestion) if last is None else last(rate)
        return rates.Tried(1.0, end, distance)

    return rates.rate(sweep, tried, Optimizer(name=name, lr=lr), summed, 1000).cause


def test_rates_are_judged_by_trials_and_by_what_the_run_has():
    assert judged(0.01, 10.0) == ""
    assert judged(1e-5, 0.01) == "rate-cannot-reach"
    assert judged(1e-5, 0.3) == ""  # slow, and yet as far as the trial went
    assert judged(1e-5, 0.01, name="sgd") == "rate-too-low"  # no bound on a step
    assert judged(1e-5, 0.1, name="sgd") == ""
    explodes = {1.0: math.nan, 0.1: 0.5}
    assert judged(1.0, 1000.0, last=lambda r: explodes.get(r, 0.4)) == "rate-too-high"
    assert judged(1.0, 1000.0, last=lambda r: math.nan) == ""  # no rate helps: another cause


@pytest.mark.parametrize(
    ("own", "tenth", "hundredth", "cause"),
    [
        (0.95, 0.10, 0.5, "rate-too-high"),  # falls, and by far less than it could
        (0.95, 0.99, 0.1, "rate-too-high"),
        (0.95, 0.85, 0.9, ""),  # slow at any rate
        (0.60, 0.10, 0.5, ""),
        (0.30, 0.01, 0.5, ""),
        (0.99, 0.97, 0.98, ""),  # nothing to speak of anywhere
    ],
)
def test_a_rate_at_which_little_is_learned_where_a_lower_one_learns_is_too_high(
    own, tenth, hundredth, cause
):
    last = {0.3: own, 0.3 / 10: tenth, 0.3 / 100: hundredth}
    assert judged(0.3, 300.0, suggestion=0.3, last=last.__getitem__) == cause


def test_the_rate_that_comes_farthest_is_what_is_said():
    sweep = rates.Sweep([0.1, 0.2, 0.3], [1.0, 0.9, 0.5], None)
    last = {0.3: 1.5, 0.3 / 10: 0.99, 0.3 / 100: 0.1}
    told = rates.rate(sweep, lambda r: rates.Tried(1.0, last[r], 1.0), Optimizer(lr=0.3), 1.0, 10)
    assert told.figures["slower"] == 0.3 / 100


def test_a_suggestion_that_does_not_hold_is_not_taken():
    """A range test that ends in its steepest fall: ten times less comes further."""
    last = {1.0: 1.6, 0.1: 0.3, 0.01: 0.8}
    assert judged(1e-5, 0.1, name="sgd", suggestion=1.0, last=lambda r: last.get(r, 0.99)) != ""
    flat = judged(1e-5, 0.1, name="sgd", suggestion=1.0, last=lambda r: 0.99)
    assert flat == ""  # no rate does better in the trial


def test_a_loss_without_a_bottom_is_not_blamed_on_the_rate():
    assert judged(1e-3, 0.1, last=lambda r: -1e4 * r) == ""


def test_rates():
    def rate(**optimizer):
        inputs = optimizer.pop("inputs", 12_000)
        return cause(Sound(), "learning rate", optimizer=optimizer, inputs=inputs)

    assert rate(name="adam", lr=0.003) == ""
    assert rate(name="sgd", lr=0.1, momentum=0.9) == ""
    assert rate(name="sgd", lr=3000.0) == "rate-too-high"
    assert rate(name="sgd", lr=1e-6) == "rate-too-low"
    assert rate(name="adam", lr=1e-6) == "rate-cannot-reach"
    assert rate(name="adam", lr=1e-4, inputs=1_000_000) == ""  # slow, and long enough
