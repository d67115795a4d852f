"""Samples of one kind or of two, against scipy's permutation test; broken splits of a task."""

import math

import numpy as np
import pytest
from scipy import stats

from famulus.diagnosis.controls.split import difference, split, summary
from tests.launch.sound import Sound, cause, found, rows


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


def test_splits_that_differ():
    def split(validation):
        return cause(Sound(None, validation), "split")

    assert split(rows(90, 1)) == ""
    brighter = rows(90, 1)
    brighter.image *= 255
    assert split(brighter) == "split-differs"
    shifted = rows(90, 1)
    shifted.image += 0.8
    assert split(shifted) == "split-differs"
    assert found(Sound(None, shifted), "split")["split"].verdict == "failed"
    mixed = rows(90, 1)
    mixed.image[:70] += 0.8  # a few samples are as in training: a warning
    assert found(Sound(None, mixed), "split")["split"].verdict == "warning"
