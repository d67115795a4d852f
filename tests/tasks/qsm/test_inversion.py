"""Against their definitions in float64 numpy, and against the linear equations that they solve."""

import numpy as np
import pytest
import torch

from famulus.tasks.qsm.dipole import Geometry, apply_kernel, dipole_kernel, full_kernel
from famulus.tasks.qsm.inversion import (
    early_stop,
    suited_alpha,
    suited_threshold,
    tikhonov,
    tikhonov_filter,
    tkd,
    tkd_filter,
)
from famulus.tasks.qsm.steps import step_filter

SHAPE, GEOMETRY = (9, 10, 8), Geometry.aligned((1.0, 1.2, 0.9))  # fast sizes: nothing is padded


def field():
    return torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def kernel():
    return dipole_kernel(SHAPE, GEOMETRY).double()


def test_tkd_is_written_out():
    d = full_kernel(kernel(), SHAPE[2]).numpy()
    inverse = np.where(np.abs(d) > 0.2, 1 / np.where(d == 0, 1, d), np.sign(d) / 0.2)
    exact = np.fft.ifftn(inverse * np.fft.fftn(field()[0].numpy())).real
    assert np.allclose(tkd(field(), GEOMETRY, 0.2)[0].numpy(), exact, atol=1e-6)


def test_tkd_undoes_a_field_away_from_the_cone():
    chi = apply_kernel(field(), (kernel().abs() > 0.2).double())
    assert torch.allclose(tkd(apply_kernel(chi, kernel()), GEOMETRY, 0.19), chi, atol=1e-5)
    assert not torch.allclose(tkd(apply_kernel(chi, kernel()), GEOMETRY, 0.3), chi, atol=1e-2)


def test_tikhonov_solves_the_normal_equations():
    """(D D + alpha) chi = D phi, without a Fourier transform of the filter."""
    chi = tikhonov(field(), GEOMETRY, 0.05)
    left = apply_kernel(apply_kernel(chi, kernel()), kernel()) + 0.05 * chi
    assert torch.allclose(left, apply_kernel(field(), kernel()), atol=1e-6)


def test_wiener_is_the_best_tikhonov():
    """alpha = noise power / power of chi, as a neighbour in each direction is worse."""
    random = torch.Generator().manual_seed(1)
    chi = torch.randn(1, 32, 32, 32, generator=random)
    geometry = Geometry.aligned((1.0, 1.0, 1.0))
    noise = 0.2 * torch.randn(chi.shape, generator=random)
    noisy = apply_kernel(chi, dipole_kernel((32, 32, 32), geometry)) + noise
    error = [float((tikhonov(noisy, geometry, a) - chi).norm()) for a in (0.02, 0.04, 0.08)]
    assert error[1] == min(error)


@pytest.mark.parametrize("rho", [50.0, 300.0])
def test_what_suits_a_noise_is_best_for_white_maps(rho):
    """A filter f leaves (f d - 1)^2 + f^2 / rho of a map of power 1 at each place of k-space."""
    d = dipole_kernel((32, 32, 32), Geometry.aligned((1.0, 1.0, 1.0))).double().flatten()

    def best(values, make):
        left = [((f * d - 1) ** 2 + f**2 / rho).mean() for f in map(make, values.tolist())]
        return values[int(torch.stack(left).argmin())].item()

    def steps(total):
        return step_filter(d, torch.full((200,), total / 200, dtype=d.dtype))

    near = torch.logspace(-0.5, 0.5, 101, dtype=d.dtype)  # of the suited one: a third to thrice
    alpha, threshold, total = suited_alpha(rho), suited_threshold(rho), early_stop(rho)
    assert best(alpha * near, lambda a: tikhonov_filter(d, a)) == pytest.approx(alpha, rel=0.05)
    found = best((threshold * near).clamp(max=0.66), lambda t: tkd_filter(d, t))
    assert found == pytest.approx(threshold, rel=0.15)
    assert best(total * near, steps) == pytest.approx(total, rel=0.1)


def test_no_threshold_leaves_the_range():
    assert suited_threshold(1.0) == 0.6


@pytest.mark.parametrize("bad", [0.0, -0.1, 0.7, float("nan")])
def test_impossible_parameters(bad):
    with pytest.raises(ValueError, match="received"):
        tkd_filter(torch.ones(1), bad)
    if not bad > 0:
        with pytest.raises(ValueError, match="received"):
            tikhonov_filter(torch.ones(1), bad)
