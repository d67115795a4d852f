"""The phantom keeps its promises, and a phantom that breaks them is refused."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from famulus.config.errors import ConfigError
from famulus.data import papyrus, papyrus_acceptance, papyrus_sheet
from famulus.data.papyrus import Recipe, make

RECIPE = Recipe(shape=(28, 256, 256), letter=64, seed=1)


@pytest.fixture(scope="module")
def phantom():
    return make(RECIPE)


def test_it_is_accepted(phantom):
    report = papyrus_acceptance.acceptance(phantom)
    assert papyrus_acceptance.accepted(report) == [], report


def test_chance_does_not_decide(monkeypatch):
    """Where every layout on the first sheet betrays too much, the second sheet is written on."""
    recipe = replace(RECIPE, shape=(12, 96, 96), letter=32)
    peaks = iter([0.6] * papyrus.TRIED + [0.54])
    monkeypatch.setattr(papyrus, "_peak", lambda *_: next(peaks))
    first, second = (papyrus._sheet(recipe, attempt) for attempt in (0, 1))
    made = make(recipe)
    assert np.array_equal(made.truth_YX, second.layouts[0][0])
    assert not np.array_equal(made.mask_YX, first.mask)


def test_the_best_is_taken_where_none_passes(monkeypatch):
    recipe = replace(RECIPE, shape=(12, 96, 96), letter=32)
    peaks = iter([0.7, 0.6, 0.8, 0.9] + [0.7] * 99)
    monkeypatch.setattr(papyrus, "_peak", lambda *_: next(peaks))
    monkeypatch.setattr(papyrus, "SHEETS", 2)
    assert np.array_equal(make(recipe).truth_YX, papyrus._sheet(recipe, 0).layouts[1][0])


def test_too_strong_a_cue_is_refused():
    toy = make(replace(RECIPE, density=3.0))
    assert "auc max" in papyrus_acceptance.accepted(papyrus_acceptance.acceptance(toy))


def test_the_same_seed_gives_the_same_voxels(phantom):
    again, other = make(RECIPE), make(replace(RECIPE, seed=4))
    assert np.array_equal(again.volume_ZYX, phantom.volume_ZYX)
    assert np.array_equal(again.labels_YX, phantom.labels_YX)
    assert not np.array_equal(other.truth_YX, phantom.truth_YX)


def test_without_strength_the_ink_leaves_no_trace(phantom):
    """Same seed, so the same layout: only the voxels that ink touches differ."""
    bare = make(replace(RECIPE, strength=0.0))
    assert np.array_equal(bare.truth_YX, phantom.truth_YX)
    none = make(replace(RECIPE, density=0.0, relief=0.0, crackle=0.0))
    assert np.array_equal(bare.volume_ZYX, none.volume_ZYX)
    assert not np.array_equal(bare.volume_ZYX, phantom.volume_ZYX)


def test_truth_labels_and_ink_belong_together(phantom):
    inside = phantom.mask_YX
    assert phantom.truth_YX[inside].mean() == pytest.approx(0.12, abs=0.02)
    columns = phantom.ink_ZYX.any(0)
    assert (columns & ~(phantom.truth_YX > 0)).sum() == 0
    assert columns.sum() > 0.9 * phantom.truth_YX[inside].sum()
    depth = phantom.ink_ZYX.sum(0)[columns]
    assert 1 <= depth.min() <= depth.max() <= 4
    overlap = (phantom.truth_YX & phantom.labels_YX).sum() / phantom.truth_YX.sum()
    assert 0.5 < overlap < 1  # misregistered, strokes missing


def test_auc_by_depth_is_the_rank_statistic(phantom):
    inside, z = phantom.mask_YX, 9
    want = roc_auc_score(phantom.truth_YX[inside], phantom.volume_ZYX[z][inside])
    assert papyrus_acceptance.auc_by_depth(phantom)[z] == pytest.approx(want, abs=1e-9)


def test_smooth_noise_has_the_correlation_it_states():
    rng = np.random.default_rng(0)
    for sd in (2.0, 8.0):
        field = papyrus_sheet.smooth_noise((400, 400), (sd, 0.0), rng)
        lag = int(sd)
        got = (field[:-lag] * field[lag:]).mean()
        assert got == pytest.approx(np.exp(-(lag**2) / (4 * sd**2)), abs=0.06)


def test_bad_recipes():
    with pytest.raises(ConfigError, match="at least 8 voxels"):
        make(Recipe(shape=(4, 64, 64)))
    with pytest.raises(ConfigError, match="prevalence"):
        make(Recipe(shape=(16, 64, 64), prevalence=0.9))
