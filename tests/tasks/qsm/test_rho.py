"""Against the power of the map and of the noise that the test itself added, in float64 numpy."""

import hashlib
import json

import numpy as np
import pytest
import torch

from famulus.tasks.qsm.datasets import open_qsm
from famulus.tasks.qsm.dipole import Geometry
from famulus.tasks.qsm.phantoms import shapes
from famulus.tasks.qsm.phase import centred_phase
from famulus.tasks.qsm.rho import DEFAULT, SANE, doubt, power_of_chi, rho_in, sane
from famulus.tasks.qsm.source import Acquisition, SpectrumSource

SIDE = 40
GEOMETRY = Geometry.aligned((1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def truth():
    return shapes((SIDE,) * 3, 4)


@pytest.fixture(scope="module")
def ball():
    z, y, x = np.indices((SIDE,) * 3) - (SIDE - 1) / 2
    return (z**2 + y**2 + x**2 < 17**2).astype(np.float64)


def scanned(truth, noise, rad_per_ppm=20.0, magnitude=1.0, offset=0.0):
    random = np.random.default_rng(7)
    pair = random.standard_normal((2, SIDE, SIDE, SIDE))
    clean = magnitude * np.exp(1j * (rad_per_ppm * truth.field_ppm.astype(np.float64) + offset))
    return np.angle(clean + noise * (pair[0] + 1j * pair[1]))


def tensors(*volumes):
    return [torch.from_numpy(v)[None].float() for v in volumes]


def power(truth, mask, rad_per_ppm=20.0):
    chi = rad_per_ppm * truth.chi_ppm[mask > 0].astype(np.float64)
    return chi.var()


@pytest.mark.parametrize("noise", [0.003, 0.01, 0.03, 0.1, 0.3])
def test_rho_is_the_power_of_chi_over_that_of_the_noise(truth, ball, noise):
    phase, mask = tensors(scanned(truth, noise, offset=-2.9) * ball, ball)
    rho = float(rho_in("signal", phase, mask, GEOMETRY)[0])
    # .4 in rho is a fifth in the noise; a map of few solids is not white
    assert rho == pytest.approx(power(truth, ball) / noise**2, rel=0.4)


def test_weights_of_any_unit_count_as_of_mean_square_1(truth, ball):
    magnitude = np.linspace(0.5, 1.5, SIDE)[:, None, None] * np.ones((SIDE,) * 3)
    phase, mask, weight = tensors(scanned(truth, 0.05, 20.0, magnitude) * ball, ball, magnitude)
    exact = power(truth, ball) * (magnitude[ball > 0] ** 2).mean() / 0.05**2
    for unit in (1.0, 300.0):
        found = rho_in("signal", phase, mask, GEOMETRY, unit * weight * mask)
        assert float(found[0]) == pytest.approx(exact, rel=0.4)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_the_power_of_chi_has_no_noise_in_it(truth, ball, noise):
    phase, mask = tensors(scanned(truth, noise) * ball, ball)
    found = float(power_of_chi(phase, mask)[0])
    assert found == pytest.approx(power(truth, ball), rel=0.25)
    # which the variance of the phase has
    if noise == 0.5:
        assert scanned(truth, noise)[ball > 0].var() * 45 / 4 > 2 * power(truth, ball)


def test_an_offset_is_taken_off_and_a_turn_is_kept():
    random = np.random.default_rng(3)
    small = random.uniform(-1, 1, (8, 8, 8))
    mask = torch.ones(8, 8, 8)
    for offset in (0.0, 2.0, -3.0):
        wrapped = np.angle(np.exp(1j * (small + offset)))
        for values in (wrapped, np.mod(wrapped, 2 * np.pi)):
            found, by = centred_phase(torch.from_numpy(values), mask)
            mean = np.angle(np.exp(1j * small).mean())
            assert np.allclose(found.numpy(), small - mean, atol=1e-6)
            assert np.exp(1j * by) == pytest.approx(np.exp(1j * (offset + mean)))
    whole = 10 * small + 40.0  # unwrapped: more than a turn
    found, by = centred_phase(torch.from_numpy(whole), mask)
    assert np.allclose(found.numpy(), whole - by)
    assert abs(by - 40) < 2 * np.pi


def test_out_of_range_it_says_so_and_takes_what_is_stated():
    seen = torch.tensor([float("nan"), 0.0, 1e-17, 0.5, 300.0, 6e5, float("inf")])
    assert sane(seen).tolist() == [DEFAULT, DEFAULT, DEFAULT, 0.5, 300.0, SANE[1], SANE[1]]
    words = [doubt(v) for v in seen.tolist()]
    assert [w is None for w in words] == [False, False, False, True, True, False, False]
    assert "too small or too thin" in words[0]
    assert "nothing but noise" in words[2]
    assert "no noise can be seen" in words[-1]


def test_sources_take_the_estimate_that_is_named():
    def opened(**how):
        return open_qsm("shapes", 24, 1, 2, 1, 0, Acquisition(7.0, 40.0, (30.0,), **how)).train

    index, seeds = np.arange(2), np.arange(2, dtype=np.uint64)
    field, signal = opened(), opened(noise="signal", weights="magnitude")
    batch = signal.gather(index, seeds)
    exact = rho_in("signal", batch["phase"], batch["mask"], signal.geometry, batch["weight"])
    assert torch.equal(batch["rho"], exact)
    assert not torch.allclose(field.gather(index, seeds)["rho"], exact, rtol=0.5)
    masked = SpectrumSource(opened(noise="signal"), bands=False).gather(index, seeds)["rho"]
    assert (masked > 3 * field.gather(index, seeds)["rho"]).all()  # whose wraps are noise


def test_data_as_they_were_keep_their_fingerprint():
    source = open_qsm("shapes", 24, 1, 2, 1, 0, Acquisition()).train
    recipe = {"b0_t": 3.0, "te_ms": 25.0, "snr": [50.0], "weights": "mask", "fresh_noise": True}
    form = {"of": "shapes-24-1", "seeds": source.seeds, "recipe": recipe}
    text = json.dumps(form, sort_keys=True).encode()
    assert source.fingerprint == hashlib.sha256(text).hexdigest()[:16]
    other = open_qsm("shapes", 24, 1, 2, 1, 0, Acquisition(noise="signal")).train
    assert other.fingerprint != source.fingerprint
