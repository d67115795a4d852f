"""Against closed-form fields, which need no Fourier transform.

Shapes: Z Y X. Units: ppm, mm. Sources as in tasks/qsm/dipole.py.
"""

import math

import numpy as np
import pytest
import torch

from famulus.tasks.qsm.dipole import (
    Geometry,
    apply_kernel,
    dipole_field,
    dipole_kernel,
    fast_sizes,
    frequency,
    full_kernel,
)

UNIT = Geometry.aligned((1.0, 1.0, 1.0))


def rotation(degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def oblique(degrees: float, voxel=(1.0, 1.0, 1.0)) -> Geometry:
    """A scan turned about x: the columns of the affine are rotated."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.diag(voxel)
    return Geometry.from_affine(affine)


def positions(shape, geometry: Geometry) -> torch.Tensor:
    """3ZYX in mm, scanner coordinates, from the middle voxel; no code of the module."""
    index = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij"))
    return torch.tensor(np.einsum("azyx,ab->bzyx", index, np.array(geometry.steps_mm)))


def sphere(r_3ZYX: torch.Tensor, radius: float, geometry: Geometry) -> torch.Tensor:
    """1 ppm inside, with partial volumes from 4^3 points a voxel."""
    offsets = (np.arange(4) - 1.5) / 4
    total = torch.zeros(r_3ZYX.shape[1:], dtype=torch.float64)
    for o in np.stack(np.meshgrid(*3 * [offsets])).reshape(3, -1).T @ np.array(geometry.steps_mm):
        shifted = r_3ZYX + torch.tensor(o).reshape(3, 1, 1, 1)
        total += shifted.square().sum(0) <= radius**2
    return total / 64


def sphere_error(shape, geometry: Geometry, exact_b0, kind, pad=2.0, radius=10.0) -> float:
    """Relative error away from the surface, against chi/3 (R/r)^3 (3 cos^2 - 1) and 0 inside."""
    r_3ZYX = positions(shape, geometry)
    r = r_3ZYX.square().sum(0).sqrt().clamp(min=1e-9)
    cos = torch.einsum("azyx,a->zyx", r_3ZYX, torch.tensor(exact_b0, dtype=torch.float64)) / r
    exact = torch.where(r > radius, (radius / r) ** 3 * (3 * cos**2 - 1) / 3, 0.0)
    chi = sphere(r_3ZYX, radius, geometry).float()
    away = (r - radius).abs() > 2
    got = dipole_field(chi[None], geometry, pad, kind)[0].double()
    return float((got - exact)[away].norm() / exact[away].norm())


@pytest.mark.parametrize("shape", [(64, 64, 64), (63, 63, 63)])
def test_sphere_along_b0(shape):
    assert sphere_error(shape, UNIT, (0, 0, 1), "spectral") < 0.01


def test_sphere_in_an_oblique_scan():
    assert sphere_error((64, 64, 64), oblique(30), (0, 0, 1), "image") < 0.005


def test_sphere_with_anisotropic_voxels_and_a_shear():
    affine = np.diag([1.0, 0.8, 1.5, 1.0])
    affine[:3, :3] = rotation(20) @ affine[:3, :3] @ np.array([[1, 0.1, 0], [0, 1, 0], [0, 0, 1]])
    assert sphere_error((44, 72, 60), Geometry.from_affine(affine), (0, 0, 1), "image") < 0.01


def test_a_field_along_another_axis_is_seen():  # proof that the sphere can fail
    assert sphere_error((48, 48, 48), UNIT, (0, 1, 0), "spectral") > 1


def test_an_ignored_tilt_is_seen():
    straight = Geometry.aligned((1.0, 1.0, 1.0))
    tilted = (0.0, -math.sin(math.radians(30)), math.cos(math.radians(30)))
    assert sphere_error((48, 48, 48), straight, tilted, "image") > 0.5


def test_cylinder_across_b0():
    """Inside -chi/6, outside chi/2 (R/rho)^2 cos 2psi, infinite along x, 4 times padded."""
    n, radius = 64, 8.0
    fine = (np.arange(4 * n) + 0.5) / 4 - n / 2 - 0.5
    inside = (fine[:, None] ** 2 + fine[None] ** 2 <= radius**2).reshape(n, 4, n, 4).mean((1, 3))
    m = 4 * n  # padded across only: along x it is periodic, hence infinite
    wide = torch.zeros(1, m, m, 4)
    wide[0, :n, :n] = torch.tensor(inside, dtype=torch.float32)[:, :, None]
    got = apply_kernel(wide, dipole_kernel((m, m, 4), UNIT))[0, :n, :n, 0]
    axis = np.arange(n) - n / 2
    z, y = np.meshgrid(axis, axis, indexing="ij")
    rho = np.hypot(z, y)
    exact = np.where(
        rho < radius, -1 / 6, 0.5 * radius**2 * (z**2 - y**2) / np.maximum(rho, 1) ** 4
    )
    away = np.abs(rho - radius) > 2
    error = np.linalg.norm((got.numpy() - exact)[away]) / np.linalg.norm(exact[away])
    assert error < 0.015


@pytest.mark.parametrize("k", [(3, 0, 0), (0, 5, 0), (2, 3, 1), (16, 0, 3)])
def test_plane_wave(k):
    """chi = cos(k.r) comes back as d(k) chi."""
    shape, geometry = (32, 30, 27), Geometry.aligned((1.0, 0.7, 1.3))
    f = [n * [1.0, 0.7, 1.3][a] ** -1 / shape[a] for a, n in enumerate(k)]
    d = 1 / 3 - f[0] ** 2 / sum(v * v for v in f)
    grids = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in shape], indexing="ij")
    chi = torch.cos(2 * math.pi * sum(n * g / s for n, g, s in zip(k, grids, shape, strict=True)))
    kernel = dipole_kernel(shape, geometry).double()
    assert float((apply_kernel(chi[None], kernel)[0] - d * chi).abs().max()) < 1e-6


def test_axis_values():
    kernel = full_kernel(dipole_kernel((8, 9, 10), UNIT), 10)
    assert kernel[0, 0, 0] == 0
    assert torch.allclose(kernel[1:, 0, 0], torch.tensor(-2 / 3))
    assert torch.allclose(kernel[0, 1:, 0], torch.tensor(1 / 3))
    assert torch.allclose(kernel[0, 0, 1:], torch.tensor(1 / 3))


SHEARED = Geometry(((0.1, 0.3, 1.2), (0.2, 0.9, -0.1), (0.8, 0.1, 0.2)), (0.1, -0.3, 0.9))


@pytest.mark.parametrize("geometry", [UNIT, oblique(33, (1.0, 0.8, 1.4)), SHEARED])
def test_kernel_and_frequency_are_those_of_the_wave_vector(geometry):
    """k of each place: the vector with k . step = cycles a sample, for all three steps."""
    shape = (5, 7, 9)  # odd: every frequency has one sign
    kernel, size = dipole_kernel(shape, geometry), frequency(shape, geometry)
    steps, b0 = np.array(geometry.steps_mm), np.array(geometry.b0)
    for place in np.ndindex(*kernel.shape):
        cycles = [np.fft.fftfreq(n)[i] for n, i in zip(shape, place, strict=True)]
        k = np.linalg.solve(steps, cycles)
        along = k @ b0 / np.linalg.norm(b0)
        expected = 1 / 3 - along**2 / (k @ k) if any(place) else 0.0
        assert float(kernel[place]) == pytest.approx(expected, abs=1e-6)
        assert float(size[place]) == pytest.approx(np.linalg.norm(k), abs=1e-6)


@pytest.mark.parametrize("shape", [(8, 10, 12), (7, 9, 11), (8, 9, 12)])
@pytest.mark.parametrize("kind", ["spectral", "image"])
def test_symmetry_survives_oblique_axes(shape, kind):
    """d(k) = d(-k), and the real transforms agree with the complex one on white noise."""
    kernel = dipole_kernel(shape, oblique(33, (1.0, 0.8, 1.4)), kind)
    full = full_kernel(kernel, shape[2])
    mirrored = full.flip((0, 1, 2)).roll((1, 1, 1), (0, 1, 2))
    assert torch.allclose(full, mirrored, atol=1e-6)
    chi = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    complex_form = torch.fft.ifftn(full * torch.fft.fftn(chi))
    assert complex_form.imag.norm() < 1e-6 * complex_form.real.norm()
    real_form = apply_kernel(chi[None], kernel.double())[0]
    assert torch.allclose(real_form, complex_form.real, atol=1e-6)


def test_nyquist_without_the_mean_is_seen():
    """The plain `fftfreq` kernel is not symmetric where a frequency is its own mirror image."""
    shape, geometry = (8, 10, 12), oblique(33)
    f = np.stack(np.meshgrid(*[np.fft.fftfreq(n) for n in shape], indexing="ij"))
    k = np.einsum("ab,bzyx->azyx", np.linalg.inv(np.array(geometry.steps_mm)), f)
    k2 = (k**2).sum(0)
    plain = np.where(k2 > 0, 1 / 3 - k[2] ** 2 / np.where(k2 > 0, k2, 1), 0)
    mirrored = np.roll(plain[::-1, ::-1, ::-1], (1, 1, 1), (0, 1, 2))
    assert np.abs(plain - mirrored).max() > 0.1
    ours = full_kernel(dipole_kernel(shape, geometry), 12).numpy()
    inner = np.ix_(*[[i for i in range(n) if 2 * i != n] for n in shape])
    assert np.abs(ours - plain)[inner].max() < 1e-6


@pytest.mark.parametrize("n", [47, 48])
def test_a_linspace_grid_is_seen(n):
    """The journal's second kernel bug: linspace(-1, 1, n) and fftshift, a part of a voxel off."""
    grid = np.linspace(-1, 1, n)
    z, y, x = np.meshgrid(grid, grid, grid, indexing="ij")
    r2 = z * z + y * y + x * x
    wrong = np.fft.fftshift(1 / 3 - z * z / np.where(r2 > 0, r2, 1))
    right = full_kernel(dipole_kernel((n, n, n), UNIT), n).numpy()
    mirrored = np.roll(wrong[::-1, ::-1, ::-1], (1, 1, 1), (0, 1, 2))
    assert np.linalg.norm(wrong - right) > 0.05 * np.linalg.norm(right)
    assert np.abs(wrong - mirrored).max() > 0.1


@pytest.mark.parametrize("shape", [(12, 10, 8), (9, 11, 7)])
@pytest.mark.parametrize("pad", [1.0, 2.0])
def test_adjoint(shape, pad):
    random = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 1, *shape, generator=random, dtype=torch.float64)
    geometry = oblique(25, (1.0, 1.1, 0.9))
    a = (dipole_field(x, geometry, pad) * y).sum()
    b = (x * dipole_field(y, geometry, pad)).sum()
    assert abs(float(a - b)) < 1e-6 * float(x.norm() * y.norm())


def test_geometry_from_an_affine():
    geometry = oblique(30, (0.5, 1.0, 2.0))
    assert geometry.voxel_zyx_mm == pytest.approx((2.0, 1.0, 0.5))
    assert geometry.b0_zyx == pytest.approx((math.cos(math.pi / 6), 0.5, 0.0))


def test_flipped_axes_change_nothing():
    turned = Geometry.from_affine(np.diag([-1.0, -1.0, 1.0, 1.0]))
    assert torch.equal(dipole_kernel((6, 7, 8), turned), dipole_kernel((6, 7, 8), UNIT))


def test_fast_sizes():
    assert fast_sizes((205, 7, 1)) == (210, 7, 1)
    assert fast_sizes((48, 48, 48), 2) == (96, 96, 96)


@pytest.mark.parametrize(
    ("steps", "b0", "says"),
    [
        (((0, 0, 1), (0, 0, 1), (1, 0, 0)), (0, 0, 1), "span a volume"),
        (((0, 0, 1), (0, float("nan"), 0), (1, 0, 0)), (0, 0, 1), "finite"),
        (((0, 0, 1), (0, 1, 0), (1, 0, 0)), (0, 0, 0), "points somewhere"),
    ],
)
def test_impossible_geometry(steps, b0, says):
    with pytest.raises(ValueError, match=says):
        Geometry(steps, b0)
