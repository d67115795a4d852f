"""Maps and scans of them against what they are made of."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from famulus.tasks.qsm.dipole import dipole_field
from famulus.tasks.qsm.phantoms import Scan, brain, draw_shapes, scan, shape_inside, shapes

POINTS = np.stack(np.meshgrid(*3 * [np.arange(41) - 20.0], indexing="ij")).reshape(3, -1)


@pytest.mark.parametrize(
    ("kind", "volume"),
    [
        ("sphere", 4 / 3 * math.pi * 10**3),
        ("ellipsoid", 4 / 3 * math.pi * 10 * 7 * 12),
        ("cylinder", 2 * 10 * math.pi * 7**2),
        ("cuboid", 8 * 10 * 7 * 12),
    ],
)
def test_solids_have_their_volume(kind, volume):
    inside = shape_inside(kind, POINTS, np.array([10.0, 7.0, 12.0]))
    assert inside.sum() == pytest.approx(volume, rel=0.03)
    assert inside.min() == 0
    assert inside.max() == 1


def test_a_seed_is_a_map():
    a, b, c = (draw_shapes((16, 16, 16), s) for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert 0.01 < np.mean([draw_shapes((24,) * 3, s).std() for s in range(8)]) < 0.06


def test_a_truth_is_consistent():
    truth = shapes((20, 18, 16), 3)
    # float32: a mean of 5,760 numbers is right to 1e-6 of their size
    size = abs(truth.chi_ppm).mean(dtype=np.float64)
    assert abs(truth.chi_ppm.mean(dtype=np.float64)) < 1e-6 * size
    assert abs(draw_shapes((20, 18, 16), 3).mean(dtype=np.float64)) > 0.01 * size  # as drawn
    field = dipole_field(torch.from_numpy(truth.chi_ppm)[None], truth.geometry)[0].numpy()
    assert np.allclose(truth.field_ppm, field, atol=1e-7)
    assert not np.allclose(truth.field_ppm, field[::-1], atol=1e-3)


def test_decay_is_that_of_tissue_and_its_iron():
    """At 3 T: T2* of grey and white matter is 66 and 53 ms (doi:10.1016/j.mri.2007.02.014), and
    susceptible spheres add at most 2 pi / (9 sqrt 3) gamma B0 for each ppm, in static dephasing
    (doi:10.1002/mrm.1910320610); what diffuses between them sees some of that."""
    truth = shapes((20, 18, 16), 3)
    calm, most = np.abs(truth.chi_ppm) < 1e-3, np.abs(truth.chi_ppm).argmax()
    assert calm.any()
    rest_hz = truth.r2star_hz[calm].mean()
    assert 53 < 1e3 / rest_hz < 67
    added = (truth.r2star_hz.flat[most] - rest_hz) / abs(truth.chi_ppm.flat[most])
    turns_hz_per_ppm = 127.74  # of protons at 3 T
    static = 2 * math.pi / (9 * math.sqrt(3)) * 2 * math.pi * turns_hz_per_ppm
    assert 0.25 * static < added < static


def test_a_decayed_echo_has_the_phase_of_its_field():
    """A ppm at 7 T is 298.04 Hz, so that a turn takes 3.355 ms; the weight is what is left of M."""
    truth = shapes((12, 12, 12), 5)
    made = scan(truth, Scan(b0_t=7.0, te_ms=3.3552, snr=None), 1)
    assert np.allclose(made["phase_whole"], 2 * np.pi * truth.field_ppm, rtol=1e-4, atol=1e-5)
    signal = truth.magnitude * np.exp(-3.3552e-3 * truth.r2star_hz)
    ratio = made["weight"] / signal
    inside = made["weight"] < 1
    assert np.ptp(ratio[inside]) < 1e-5 * ratio.max()


def test_noise_of_a_scan():
    """The phase's deviation is 1/SNR over the decayed magnitude; wraps are whole turns."""
    truth = shapes((24, 24, 24), 5)
    how = Scan(b0_t=7.0, te_ms=30.0, snr=40.0)
    found = scan(truth, how, 1)
    clean = how.rad_per_ppm * truth.field_ppm
    signal = truth.magnitude * np.exp(-how.te_ms * 1e-3 * truth.r2star_hz)
    relative = (found["phase_whole"] - clean) * signal * 40
    assert relative.std() == pytest.approx(1, abs=0.03)
    turns = (found["phase"] - found["phase_whole"]) / (2 * np.pi)
    assert np.allclose(turns, np.round(turns), atol=1e-5)
    assert np.abs(found["phase"]).max() <= np.pi + 1e-6
    assert how.rad_per_ppm == pytest.approx(20.06 * 7 / 3 * 30 / 25, rel=1e-3)


def test_noise_follows_its_seed_alone():
    truth = shapes((12, 12, 12), 5)
    a, b, c = (scan(truth, Scan(snr=20), s)["phase"] for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    clean = scan(truth, Scan(snr=None), 1)["phase_whole"]
    assert np.allclose(clean, Scan().rad_per_ppm * truth.field_ppm, atol=1e-5)


@pytest.mark.data
@pytest.mark.skipif("FAMULUS_DATA" not in os.environ, reason="FAMULUS_DATA is not set")
def test_the_brain():
    folder = Path(os.environ["FAMULUS_DATA"]) / "brain-atlas"
    one, two = brain(folder, 1, 3), brain(folder, 2, 3)
    assert one.chi_ppm.shape == (53, 63, 51)
    inside = one.mask > 0
    size = abs(one.chi_ppm[inside]).mean(dtype=np.float64)
    assert abs(one.chi_ppm[inside].mean(dtype=np.float64)) < 1e-5 * size
    assert (one.chi_ppm[~inside] == 0).all()
    assert 0.01 < one.chi_ppm[inside].std() < 0.05
    # Iron-rich pallidum is above white matter in every drawing.
    for truth in (one, two):
        pallidum = truth.chi_ppm[(truth.labels == 11) & (truth.mask > 0)]
        white = truth.chi_ppm[(truth.labels == 53) & (truth.mask > 0)]
        assert pallidum.mean() > white.mean() + 0.03
    assert np.abs(one.chi_ppm - two.chi_ppm).max() > 0.01
