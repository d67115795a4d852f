"""The phantom keeps its promises, and a phantom that breaks them is refused."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from famulus.config.errors import ConfigError
from famulus.tasks.scroll import papyrus, papyrus_sheet
from famulus.tasks.scroll.papyrus import PhantomDesign, make
from tests.tasks.scroll import papyrus_acceptance

DESIGN = PhantomDesign(shape=(28, 256, 256), letter=64, seed=1)


@pytest.fixture(scope="module")
def phantom():
    return make(DESIGN)


def test_it_is_accepted(phantom):
    report = papyrus_acceptance.acceptance(phantom)
    assert papyrus_acceptance.accepted(report) == [], report


def test_chance_does_not_decide(monkeypatch):
    """Where every layout on the first sheet betrays too much, the second sheet is written on."""
    design = replace(DESIGN, shape=(12, 96, 96), letter=32)
    peaks = iter([0.6] * papyrus.TRIED + [0.54])
    monkeypatch.setattr(papyrus, "_peak", lambda *_: next(peaks))
    first, second = (papyrus._sheet(design, attempt) for attempt in (0, 1))
    made = make(design)
    assert np.array_equal(made.truth_YX, second.layouts[0][0])
    assert not np.array_equal(made.mask_YX, first.mask)


def test_the_best_is_taken_where_none_passes(monkeypatch):
    design = replace(DESIGN, shape=(12, 96, 96), letter=32)
    peaks = iter([0.7, 0.6, 0.8, 0.9] + [0.7] * 99)
    monkeypatch.setattr(papyrus, "_peak", lambda *_: next(peaks))
    monkeypatch.setattr(papyrus, "SHEETS", 2)
    made = make(design)
    assert np.array_equal(made.truth_YX, papyrus._sheet(design, 0).layouts[1][0])
    (note,) = made.fragment().notes
    assert "greatest AUC of a plane 0.600" in note


def test_what_passes_needs_no_note(phantom):
    assert phantom.peak <= papyrus.PEAK
    assert phantom.fragment().notes == []


def refused(phantom):
    return papyrus_acceptance.accepted(papyrus_acceptance.acceptance(phantom))


def test_too_strong_a_cue_is_refused():
    toy = make(replace(DESIGN, density=3.0))
    assert {"auc max", "column probe auc"} <= set(refused(toy))


def test_other_noise_other_fibres_and_other_depth_are_refused(phantom):
    """Each twin breaks one thing, and is refused for that."""
    volume, papyrus_ = phantom.volume_ZYX, phantom.papyrus_ZYX
    rng = np.random.default_rng(0)
    white = (25_700 + 2_160 * rng.standard_normal(volume.shape)).astype(np.uint16)
    noisy = replace(phantom, volume_ZYX=np.where(papyrus_, volume, white))
    assert {name[:7] for name in refused(noisy)} == {"air acf"}
    cloud = papyrus_sheet.smooth_noise(volume.shape, (1.35, 3, 3), rng)
    alike = np.clip(45_800 + 8_850 * cloud, 0, 65_535).astype(np.uint16)
    felt = replace(phantom, volume_ZYX=np.where(papyrus_, alike, volume))
    assert {"fibres, power across x", "fibres, power between"} <= set(refused(felt))
    order = rng.permutation(len(volume))
    shuffled = replace(phantom, volume_ZYX=volume[order], papyrus_ZYX=papyrus_[order])
    assert {"acf z 1", "acf z 2"} <= set(refused(shuffled))


def test_the_probe_sees_what_single_planes_do_not(phantom):
    """Two planes that share a wave of grey level, and a cue in their difference alone."""
    volume = phantom.volume_ZYX.astype(np.float64)
    wave = 20_000 * np.random.default_rng(1).standard_normal(volume.shape[1:])
    volume[12], volume[13] = 40_000 + wave, 40_000 + wave + 1_000.0 * phantom.truth_YX
    cued = replace(phantom, volume_ZYX=volume)
    assert papyrus_acceptance.auc_by_depth(cued)[[12, 13]].max() < 0.55
    assert papyrus_acceptance.column_probe(cued) > 0.9


def test_the_same_seed_gives_the_same_voxels(phantom):
    again, other = make(DESIGN), make(replace(DESIGN, seed=4))
    assert np.array_equal(again.volume_ZYX, phantom.volume_ZYX)
    assert np.array_equal(again.labels_YX, phantom.labels_YX)
    assert not np.array_equal(other.truth_YX, phantom.truth_YX)


def test_without_strength_the_ink_leaves_no_trace(phantom):
    """Same seed, so the same layout: only the voxels that ink touches differ."""
    bare = make(replace(DESIGN, strength=0.0))
    assert np.array_equal(bare.truth_YX, phantom.truth_YX)
    none = make(replace(DESIGN, density=0.0, relief=0.0, crackle=0.0))
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
        make(PhantomDesign(shape=(4, 64, 64)))
    with pytest.raises(ConfigError, match="prevalence"):
        make(PhantomDesign(shape=(16, 64, 64), prevalence=0.9))
