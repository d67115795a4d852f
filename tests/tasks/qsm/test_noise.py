"""Against the noise that the test itself added, in float64 numpy."""

import numpy as np
import pytest
import torch

from famulus.tasks.qsm import noise as module
from famulus.tasks.qsm.dipole import Geometry
from famulus.tasks.qsm.noise import noise_in
from famulus.tasks.qsm.phantoms import shapes

SIDE = 40
NOISES = (0.003, 0.01, 0.03, 0.1, 0.3)
TE_S, GAMMA_HZ_PER_T = 0.025, 42.577478e6
GEOMETRY = Geometry.aligned((1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def truth():
    return shapes((SIDE,) * 3, 4)


@pytest.fixture(scope="module")
def head():
    """A ball within the box, as a mask has it."""
    z, y, x = np.indices((SIDE,) * 3) - (SIDE - 1) / 2
    return (z**2 + y**2 + x**2 < 17**2).astype(np.float64)


def radians(truth, b0_t):
    return 2e-6 * np.pi * GAMMA_HZ_PER_T * b0_t * TE_S * truth.field_ppm.astype(np.float64)


def signal(truth, b0_t, noise, magnitude=1.0, offset=0.0):
    random = np.random.default_rng(7)
    added = noise * (random.standard_normal((2, SIDE, SIDE, SIDE)) * [[[[1]]], [[[1j]]]]).sum(0)
    return magnitude * np.exp(1j * (radians(truth, b0_t) + offset)) + added


def seen(phase, mask, weight=None):
    volumes = [None if v is None else torch.from_numpy(v)[None].float() for v in (phase, weight)]
    mask = torch.from_numpy(mask)[None].float()
    return float(noise_in(volumes[0], mask, GEOMETRY, volumes[1])[0])


def deviation(truth, b0_t, made, mask):
    """Of the noise in the angle, with no wrap."""
    error = np.angle(made * np.exp(-1j * radians(truth, b0_t)))[mask > 0]
    return np.sqrt((error**2).mean())


@pytest.mark.parametrize("b0_t", [1.5, 3.0, 7.0])
@pytest.mark.parametrize("noise", NOISES)
def test_noise_within_a_mask(truth, head, noise, b0_t):
    made = signal(truth, b0_t, noise)
    exact = deviation(truth, b0_t, made, head)
    assert seen(np.angle(made) * head, head) == pytest.approx(exact, rel=0.25)


@pytest.mark.parametrize("noise", NOISES)
def test_with_a_magnitude_it_is_that_of_weight_1(truth, head, noise):
    """Noise in the phase is noise/magnitude; three times as bright at one end as at the other."""
    magnitude = np.linspace(0.5, 1.5, SIDE)[:, None, None] * np.ones((SIDE,) * 3)
    made = signal(truth, 7.0, noise, magnitude)
    phase = np.angle(made) * head
    exact = noise / np.sqrt((magnitude[head > 0] ** 2).mean())
    found = seen(phase, head, 8.0 * magnitude * head)  # in whatever unit
    assert found == pytest.approx(exact, rel=0.25)
    assert found < 0.97 * seen(phase, head)  # which is not how noisy a phase is on average


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_neither_wraps_nor_an_offset_nor_the_range_matter(truth, head, noise):
    made, shifted = signal(truth, 7.0, noise), signal(truth, 7.0, noise, offset=2.5)
    plain = seen(np.angle(made) * head, head)
    clean = radians(truth, 7.0) + 2.5
    whole = (clean + np.angle(shifted * np.exp(-1j * clean))) * head
    wrapped, positive = np.angle(shifted) * head, np.mod(np.angle(shifted), 2 * np.pi) * head
    assert np.abs(whole - wrapped).max() > 6
    for phase in (whole, wrapped, positive):
        assert seen(phase, head) == pytest.approx(plain, rel=0.05)


def test_without_the_angle_wraps_are_noise(truth, head, monkeypatch):
    def rough(phase):
        rough = phase - module._neighbours(phase) / 6
        for axis in range(3):
            rough = 2 * rough - module._beside(rough, axis)
        return rough

    phase = np.angle(signal(truth, 7.0, 0.01, offset=2.5)) * head
    monkeypatch.setattr(module, "_rough", rough)
    assert seen(phase, head) > 2 * 0.01


def test_white_noise_alone_is_met_on_average_in_any_shape():
    random = np.random.default_rng(1)
    phase = 0.05 * random.standard_normal((10, 30, 33, 50))
    mask = np.zeros(phase.shape)
    mask[:, 2:28, :, 5:40] = 1
    oblique = Geometry.aligned((2.0, 1.0, 0.7), (1.0, 0.5, 0.2))
    found = noise_in(torch.from_numpy(phase), torch.from_numpy(mask), oblique).numpy()
    assert found.mean() == pytest.approx(0.05, rel=0.05)
    assert found.std() < 0.1 * 0.05


def test_noise_that_left_little_magnitude_is_not_underestimated(truth, head):
    """A magnitude as it is measured, noise and all."""
    made = signal(truth, 3.0, 0.45)
    phase, weight = np.angle(made) * head, np.abs(made) * head
    error = np.angle(made * np.exp(-1j * radians(truth, 3.0)))
    exact = np.sqrt(((error * weight) ** 2).sum() / (weight**2).sum())
    assert seen(phase, head, weight) == pytest.approx(exact, rel=0.25)


def test_too_few_voxels_say_nothing():
    mask = torch.zeros(1, 20, 20, 20)
    mask[:, :6] = 1  # thinner than what a value depends on
    assert noise_in(0.1 * torch.randn(1, 20, 20, 20), mask, GEOMETRY).isnan().all()
