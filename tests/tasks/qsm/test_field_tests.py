"""The tests of an operator pass for the right one and fail for wrong ones."""

import numpy as np
import pytest
import torch

from famulus.tasks.qsm.dipole import (
    Geometry,
    apply_kernel,
    cropped,
    dipole_kernel,
    fast_sizes,
    padded,
)
from famulus.tasks.qsm.field_tests import adjoint_gap, residual, sphere_error, verdicts

ANISOTROPIC = Geometry.aligned((1.5, 1.0, 0.8))


def operator(shape, geometry, change=lambda kernel: kernel):
    sizes = fast_sizes(shape)
    kernel = change(dipole_kernel(sizes, geometry))
    return lambda x: cropped(apply_kernel(padded(x, sizes), kernel), shape)


def linspaced(shape):
    """As seen in the wild: linspace(-1, 1) and fftshift, half a voxel off."""
    axes = [torch.linspace(-1, 1, n, dtype=torch.float64) for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    kernel = 1 / 3 - z**2 / (x**2 + y**2 + z**2).clamp(min=1e-9)
    half = torch.fft.fftshift(kernel)[..., : shape[2] // 2 + 1].float()
    return lambda volume: apply_kernel(volume, half)


@pytest.mark.parametrize("geometry", [Geometry.aligned((1.0, 1.0, 1.0)), ANISOTROPIC])
@pytest.mark.parametrize("n", [32, 33])
def test_the_sphere_knows_the_right_axis(n, geometry):
    shape = (n, n, n)
    turned = Geometry(geometry.steps_mm, (0.0, 1.0, 0.0))
    assert sphere_error(operator(shape, geometry), shape, geometry) < 0.1
    assert sphere_error(operator(shape, turned), shape, geometry) > 1
    assert sphere_error(operator(shape, turned), shape, turned) < 0.1


def test_a_grid_that_is_half_a_voxel_off_is_seen():
    geometry = Geometry.aligned((1.0, 1.0, 1.0))
    assert sphere_error(linspaced((32, 32, 32)), (32, 32, 32), geometry) > 0.3


def test_adjoint():
    shape = (12, 13, 14)
    right = operator(shape, ANISOTROPIC, lambda kernel: kernel.double())
    assert adjoint_gap(lambda x: right(x.double()), shape) < 1e-13
    assert adjoint_gap(lambda x: x.roll(1, -1), shape) > 0.001  # its adjoint rolls back


def sample(n, snr, seed=0):
    """Balls of some ppm, their field as phase in rad, and a mask: BZYX."""
    shape, rng = (n, n, n), np.random.default_rng(seed)
    geometry = Geometry.aligned((1.0, 1.0, 1.0))
    place = np.stack(np.meshgrid(*3 * [np.arange(n)], indexing="ij"))
    chi = np.zeros(shape, np.float32)
    for centre in rng.uniform(n / 4, 3 * n / 4, (8, 3)):
        near = ((place - centre[:, None, None, None]) ** 2).sum(0) < (n / 10) ** 2
        chi[near] += rng.normal()
    chi = torch.from_numpy(chi)[None]
    field = operator(shape, geometry)(chi)
    noise = torch.randn(field.shape, generator=torch.Generator().manual_seed(seed))
    phase = 7.3 * field + noise * 7.3 * field.std() / snr
    return phase, chi, torch.ones_like(chi), shape, geometry


def told(phase, chi, mask, shape, geometry, used=None):
    made = verdicts(operator(shape, used or geometry), shape, geometry, phase, chi, mask)
    return {name: "" if passed else cause for name, passed, _, cause, _ in made}


@pytest.mark.parametrize("snr", [1.2, 20.0])
def test_input_and_target(snr):
    phase, chi, mask, shape, geometry = sample(32, snr)
    sound = {"adjoint": "", "orientation": "", "input and target": ""}
    assert told(phase, chi, mask, shape, geometry) == sound
    swapped = told(chi, phase, mask, shape, geometry)
    assert swapped == sound | {"input and target": "input-and-target-swapped"}
    turned = told(phase, chi, mask, shape, geometry, Geometry(geometry.steps_mm, (0, 1, 0)))
    assert turned["orientation"] == "operator-wrong"


def test_residual_of_noise_alone():
    """|noise| / |signal + noise| is what the right map leaves: 1 / sqrt(1 + snr^2)."""
    phase, chi, mask, shape, geometry = sample(32, 3.0)
    left = residual(operator(shape, geometry), chi, phase, mask)
    assert left == pytest.approx(1 / np.sqrt(10), rel=0.05)
