"""Heads that are turned and bent: what follows from a seed, and whether they are what they say."""

import numpy as np
import pytest
import torch

from famulus.feed.data_folder import data_folder
from famulus.tasks.qsm import heads, phantoms
from famulus.tasks.qsm.datasets import open_qsm
from famulus.tasks.qsm.dipole import Geometry, dipole_field
from famulus.tasks.qsm.heads import SOLIDS, varied
from famulus.tasks.qsm.phantoms import Atlas
from famulus.tasks.qsm.source import Acquisition

VOXELS = (0.5, 1.0, 2.0)
SIZE = 20


@pytest.fixture
def atlas(monkeypatch):
    """A ball of two tissues in the place of the real one, which is not everywhere."""
    z, y, x = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in (50, 60, 48)], indexing="ij")
    away = np.sqrt(z**2 + y**2 + x**2)
    labels = ((away < 22) + 1 * (away < 10)).astype(np.uint8)
    values = np.zeros(256)
    values[1:3] = -0.01, 0.09
    t1_of = np.zeros(256)
    t1_of[1:3] = 0.4, 0.6
    found = Atlas(labels, (labels > 0).astype(np.uint8), t1_of[labels], values, t1_of, ("",) * 256)
    monkeypatch.setattr(heads, "open_atlas", lambda folder: found)
    return None


def made(seed: int):
    return varied(None, SIZE, VOXELS, seed)


def test_voxel_and_kind_go_by_turns(atlas):
    maps = [made(12 * 70 + i) for i in range(SOLIDS * len(VOXELS))]
    assert [m.voxel_mm for m in maps] == list(VOXELS) * SOLIDS
    solid = [bool(m.mask.all()) and (m.magnitude == 1).all() for m in maps]
    assert solid[-3:] == [True] * 3
    assert not any(m.labels is not None for m in maps[-3:])
    assert all(m.labels is not None for m in maps[:-3])


def test_a_map_follows_from_its_seed_alone(atlas):
    first, other = made(24), made(36)
    again = made(24)
    assert np.array_equal(first.chi_ppm, again.chi_ppm)
    assert not np.allclose(first.chi_ppm, other.chi_ppm)


@pytest.mark.parametrize("seed", [0, 1, 2, 10])
def test_field_and_map_belong_together_but_for_an_offset_of_the_mask(atlas, seed):
    """field = D (chi + c M): c is found by least squares, and what is left is rounding."""
    t = made(seed)
    inside = t.mask > 0
    assert abs(t.chi_ppm[inside].mean()) < 1e-6
    assert not t.chi_ppm[~inside].any()
    geometry = Geometry.aligned((t.voxel_mm,) * 3)

    def field(chi):
        return dipole_field(torch.from_numpy(chi)[None], geometry)[0].numpy()

    left, of_mask = t.field_ppm - field(t.chi_ppm), field(t.mask)
    c = float((left * of_mask).sum() / (of_mask**2).sum())
    assert np.abs(left - c * of_mask).max() < 1e-5
    assert 0 < abs(c) < 6 * heads.OFFSET_PPM


def test_a_head_is_larger_in_small_voxels(atlas):
    """A ball of 22 mm, stretched and bent, has its volume in voxels of 2 and of 3 mm."""
    ball = 4 / 3 * np.pi * 22**3
    for side in (2.0, 3.0):
        voxels = np.mean([varied(None, 32, (side,), 4 * i).mask.sum() for i in range(6)])
        assert voxels * side**3 == pytest.approx(ball, rel=0.4)


def test_values_are_those_of_tissue_times_what_heads_hold(atlas, monkeypatch):
    """Without texture and vessels, two tissues make two values."""
    monkeypatch.setattr(heads, "_texture", lambda random, size, voxel: np.zeros((size,) * 3))
    monkeypatch.setattr(heads, "_add_vessel", lambda chi, random, voxel: None)
    monkeypatch.setattr(heads, "_blurred", lambda chi, voxels: chi)
    t = varied(None, 40, (1.0,), 8)
    inner, outer = (t.chi_ppm[(t.labels == n) & (t.mask > 0)] for n in (2, 1))
    assert inner.std() < 0.4 * abs(inner.mean() - outer.mean())
    assert np.median(inner) > np.median(outer)


def test_a_vessel_is_a_tube_of_one_sign_within_the_box():
    chi = np.zeros((32, 32, 32), np.float32)
    found = 0
    for seed in range(8):
        before = chi.copy()
        heads._add_vessel(chi, np.random.default_rng(seed), 1.0)
        added = chi - before
        assert (added >= 0).all()
        assert added.max() <= 0.36
        found += bool(added.any())
    assert found >= 4


def test_splits_share_no_map_and_few_have_all_voxel_sizes(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_DATA", str(tmp_path))
    folder = tmp_path / "brain-atlas"
    folder.mkdir()
    for name in ("labels.nii.gz", "mask.nii.gz", "T1.nii.gz", "labels.tsv"):
        (folder / name).write_bytes(name.encode())  # only digested here
    splits = open_qsm("varied", SIZE, 1, 24, 12, 0, Acquisition(), VOXELS)
    assert not set(splits.train.seeds) & set(splits.validation.seeds)
    assert sorted(s % 12 for s in splits.validation.seeds) == list(range(12))
    assert any("turned and bent" in str(note) for note in splits.notes)


@pytest.mark.skipif(
    not (data_folder() / "brain-atlas").is_dir(), reason="FAMULUS_DATA has no brain-atlas"
)
def test_the_real_atlas_turns_and_stays_a_head():
    t = varied(data_folder() / "brain-atlas", 48, (3.0,), 4)
    assert 0.1 < t.mask.mean() < 0.6
    assert 0.005 < t.chi_ppm[t.mask > 0].std() < 0.2
    assert len(np.unique(t.labels)) > 30
    plain = phantoms.brain(data_folder() / "brain-atlas", 4, 3)
    assert plain.mask.shape != t.mask.shape
