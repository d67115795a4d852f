"""What single controls compute, against arithmetic of another kind; each with a broken twin."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from famulus.diagnosis.controls import rate as rates
from famulus.diagnosis.controls.duplicates import copies, duplicates
from famulus.diagnosis.controls.floors import initial_loss
from famulus.diagnosis.controls.input_use import Learned, input_use
from famulus.diagnosis.controls.moves import Weight, moves
from famulus.diagnosis.controls.noise_scale import gradient_noise
from famulus.diagnosis.controls.overfit import Fit, overfit
from famulus.diagnosis.controls.split import difference, split, summary
from famulus.diagnosis.controls.targets import Looks, targets

# -- gradient noise ------------------------------------------------------------------------


def test_noise_scale_of_a_quadratic_with_known_covariance():
    """Loss |w - x|^2 / 2, x ~ N(mu, S): the gradient of an example is w - x, so that
    B = tr S / |w - mu|^2 exactly."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(5, 5))
    covariance = mix @ mix.T
    mu, w = rng.normal(size=5), rng.normal(size=5) + 2
    exact = np.trace(covariance) / ((w - mu) ** 2).sum()
    x = rng.multivariate_normal(mu, covariance, size=40_000)
    parts = [(torch.from_numpy(w - x[i : i + 8].mean(0)), 8) for i in range(0, len(x), 8)]
    told = gradient_noise(parts, batch=64)
    assert told.figures["noise_scale"] == pytest.approx(exact, rel=0.03)
    worth = (1 + exact / 64) / (1 + exact / 256)  # steps that one of 256 is worth
    assert f"{worth:.2g} steps" in told.text
    biased = np.mean([float(((g - torch.from_numpy(w - mu)) ** 2).sum()) for g, _ in parts])
    assert abs(biased / ((w - mu) ** 2).sum() / exact - 1) > 0.5  # without the factor of the size


def test_a_gradient_that_is_all_noise_is_said_to_be_so():
    noise = torch.randn(6, 50, generator=torch.Generator().manual_seed(1)).double()
    told = gradient_noise([(row - noise.mean(0), 4) for row in noise], 16)
    assert told.figures["noise_scale"] is None
    assert "all noise" in told.text


def test_a_batch_of_one_has_no_gradients_to_compare():
    told = gradient_noise([], 1)
    assert told.verdict == "skipped"
    assert "batch of 1" in told.text


# -- two samples ---------------------------------------------------------------------------


def test_p_value_against_scipys_permutation_test():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=30), rng.normal(size=24) + 0.5
    found = difference({"mean": a}, {"mean": b})

    def gap(x, y, axis):
        return np.abs(x.mean(axis) - y.mean(axis))

    known = stats.permutation_test((a, b), gap, vectorized=True, n_resamples=9999, rng=3)
    assert found.p == pytest.approx(known.pvalue, abs=0.025)
    pooled = math.sqrt((a.var() * 30 + b.var() * 24) / 54)
    assert found.d == pytest.approx(abs(a.mean() - b.mean()) / pooled)


def test_equal_kinds_are_rarely_told_apart():
    """The level holds although many numbers are looked at together."""
    rng = np.random.default_rng(4)
    hits = 0
    for seed in range(60):
        parts = [summary(rng.gamma(2.0, size=(20, 64))) for _ in range(2)]
        hits += difference(*parts, seed=seed).p <= 0.05
    assert hits <= 9  # 3 expected; more than 9 has a probability of .0008


def test_a_scale_is_told_with_its_factor():
    rng = np.random.default_rng(5)
    image = rng.random((40, 50))
    told = split({"image": image[:20]}, {"image": 255 * image[20:]})
    assert told.cause == "split-differs"
    assert "factor of 0.0039" in told.text


# -- duplicates ----------------------------------------------------------------------------


def test_copies_are_found_and_strangers_are_not():
    stream = torch.Generator().manual_seed(0)
    train = torch.rand(200, 3, 20, 20, generator=stream)
    strangers = torch.rand(50, 3, 20, 20, generator=stream)
    assert copies(train, strangers).example is None
    noisy = (train[7] * 0.8 + 0.05)[None] + 0.001 * torch.randn(1, 3, 20, 20, generator=stream)
    found = copies(train, torch.cat([strangers, train[3:5], noisy]))
    assert (found.exact, found.near, found.example) == (2, 1, (3, 50))
    assert duplicates(found).verdict == "warning"  # 3 of 53


def test_flat_samples_are_no_copies_of_each_other():
    flat = torch.arange(6.0)[:, None, None, None].expand(6, 1, 8, 8)
    textured = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert copies(flat[:3], torch.cat([flat[3:], textured])).example is None


def test_volumes_are_compared_too():
    stream = torch.Generator().manual_seed(0)
    train = torch.rand(20, 1, 8, 8, 8, generator=stream)
    found = copies(train, torch.cat([train[:1] * 0.9, torch.rand(3, 1, 8, 8, 8, generator=stream)]))
    assert (found.exact, found.near, found.of) == (0, 1, 4)


# -- rates ---------------------------------------------------------------------------------


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

    return rates.rate(sweep, tried, rates.Budget(name, lr, summed, 1000)).cause


def test_rates_are_judged_by_trials_and_by_what_the_run_has():
    assert judged(0.01, 10.0) == ""
    assert judged(1e-5, 0.01) == "rate-cannot-reach"
    assert judged(1e-5, 0.3) == ""  # slow, and yet as far as the trial went
    assert judged(1e-5, 0.01, name="sgd") == "rate-too-low"  # no bound on a step
    assert judged(1e-5, 0.1, name="sgd") == ""
    explodes = {1.0: math.nan, 0.1: 0.5}
    assert judged(1.0, 1000.0, last=lambda r: explodes.get(r, 0.4)) == "rate-too-high"
    assert judged(1.0, 1000.0, last=lambda r: math.nan) == ""  # no rate helps: another cause


def test_a_suggestion_that_does_not_hold_is_not_taken():
    """A range test that ends in its steepest fall: ten times less comes further."""
    last = {1.0: 1.6, 0.1: 0.3, 0.01: 0.8}
    assert judged(1e-5, 0.1, name="sgd", suggestion=1.0, last=lambda r: last.get(r, 0.99)) != ""
    flat = judged(1e-5, 0.1, name="sgd", suggestion=1.0, last=lambda r: 0.99)
    assert flat == ""  # no rate does better in the trial


def test_a_loss_without_a_bottom_is_not_blamed_on_the_rate():
    assert judged(1e-3, 0.1, last=lambda r: -1e4 * r) == ""


# -- overfit, initial loss -----------------------------------------------------------------


def test_what_a_failed_fit_is_told_apart_by():
    def fitted(table):
        return overfit(lambda kind, factor: table[kind, factor], "recon")

    stuck = Fit(1.0, 0.9, 0.9, 300)
    same = {("true", f): stuck for f in (1.0, 10.0, 100.0)} | {("zeroed", 1.0): stuck}
    assert fitted(same).cause == "cannot-overfit"
    assert fitted(same | {("true", 10.0): Fit(1.0, 0.1, 0.1, 300)}).verdict == "ok"
    assert fitted(same | {("zeroed", 1.0): Fit(1.0, 1.1, 1.1, 300)}).verdict == "ok"
    nan = {("true", 1.0): Fit(1.0, math.nan, math.nan, 3), ("true", 0.1): stuck}
    assert fitted(nan).cause == "rate-too-high"
    never = nan | {("true", f): nan["true", 1.0] for f in (0.1, 0.01)}
    assert fitted(never).cause == "loss-not-finite"
    worse = same | {("true", 1.0): Fit(1.0, 7.0, 7.0, 300)}
    assert fitted(worse | {("true", 0.01): Fit(1.0, 0.1, 0.1, 300)}).cause == "rate-too-high"
    assert fitted(worse | {("true", 0.01): stuck}).cause == "cannot-overfit"
    few = overfit(lambda kind, factor: stuck, "recon", weights=9, numbers=1000)
    assert few.verdict == "ok"


def test_targets_that_are_drawn_anew_for_few_samples():
    def told(moving, samples=8):
        fits = {True: Fit(1.0, 0.001, 0.0, 300), False: Fit(1.0, moving, 0.0, 300)}
        return targets(Looks(False, False, True), samples, fits.__getitem__, 0.0).cause

    assert told(0.3) == "targets-redrawn"
    assert told(0.003) == ""
    assert told(0.3, samples=5000) == ""


def test_a_gradient_too_small_to_move_anything():
    def weight(moved, largest):
        return Weight("w", True, True, 9, True, True, moved, largest)

    assert moves([weight(True, 1.0)], [], 3).cause == ""
    assert moves([weight(True, 1.0), weight(False, 1e-12)], [], 3).cause == "vanishing-gradient"
    assert moves([weight(True, 1.0), weight(False, 1e-2)], [], 3).cause == "weights-do-not-move"


def test_initial_loss_of_ten_classes():
    theory = math.log(10)
    assert initial_loss("loss", theory, 2.31).verdict == "ok"
    assert initial_loss("loss", theory, 9.0).cause == "wrong-initial-loss"
    assert initial_loss("loss", theory, 0.1).cause == "wrong-initial-loss"
    assert initial_loss("loss", theory, math.inf).cause == "loss-not-finite"
    assert initial_loss("loss", -0.5, 0.2).verdict == "ok"  # a likelihood: differences count
    assert initial_loss("loss", -0.5, 8.0).cause == "wrong-initial-loss"


@pytest.mark.parametrize(
    ("before", "true", "zeroed", "shuffled", "noise", "verdict"),
    [
        (1.1, 0.817, 0.8269, 0.8445, 0.8406, "skipped"),  # a slow net on a plateau reads its input
        (1.9, 1.299, 1.426, 1.475, 1.227, "skipped"),  # noise regularises; true input helps
        (0.3, 0.196, 0.1966, 0.1961, 0.1964, "failed"),  # a collapsed posterior
        (0.5, 0.1946, 0.119, 0.194, 0.1496, "failed"),  # shapes broadcast
    ],
)
def test_input_that_helps_against_zeroed_and_shuffled_is_not_called_unused(
    before, true, zeroed, shuffled, noise, verdict
):
    """Held-out losses as recorded of sound and faulty nets; one frozen batch tells nothing."""
    after = {"true": true, "zeroed": zeroed, "shuffled": shuffled, "noise": noise}
    found = input_use(
        lambda kind: Learned(before, after[kind], blind=before, steps=60),
        lambda kind, factor: Fit(1.0, 0.5, 0.5, 60),
        "recon",
    )
    assert found.verdict == verdict
    assert found.cause == ("input-unused" if verdict == "failed" else "")
