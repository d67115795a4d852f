"""What power a map has at each |k|, seen in its phase: against maps whose power is known."""

import math

import numpy as np
import torch

from famulus.tasks.qsm.bands import KNOTS_PER_MM, field_power, place_of, power_ratios
from famulus.tasks.qsm.dipole import Geometry, apply_kernel, dipole_kernel, frequency
from famulus.tasks.qsm.phase import wrap

SIZES = (48, 48, 48)
GEOMETRY = Geometry.aligned((1.0, 1.0, 1.0))
K = frequency(SIZES, GEOMETRY)
D = dipole_kernel(SIZES, GEOMETRY)
PLACE = place_of(K)
EVERYWHERE = torch.ones(1, *SIZES)
RAD = 2.0  # standard deviation of chi


def drawn(slope: float, seed: int = 0) -> torch.Tensor:
    """chi 1ZYX whose amplitude falls with |k| to that power; mean square RAD^2."""
    white = torch.randn(1, *SIZES, generator=torch.Generator().manual_seed(seed))
    shape = torch.where(K > 0, K.clamp(min=1e-6) ** -slope, 0.0)
    chi = torch.fft.irfftn(torch.fft.rfftn(white, dim=(1, 2, 3)) * shape, s=SIZES, dim=(1, 2, 3))
    return RAD * chi / chi.square().mean().sqrt()


def noisy(chi: torch.Tensor, rho: float, seed: int = 9) -> torch.Tensor:
    noise = torch.randn(chi.shape, generator=torch.Generator().manual_seed(seed))
    return apply_kernel(chi.clone(), D) + noise * RAD / math.sqrt(rho)


def ratios(phase: torch.Tensor, rho: float, mask: torch.Tensor = EVERYWHERE) -> np.ndarray:
    return power_ratios(phase, mask, D, PLACE, torch.tensor([rho]))[0].numpy()


def expected(chi: torch.Tensor) -> dict[int, float]:
    """ln of the mean |FFT(chi)|^2 in each band over that of all, in float64 numpy."""
    power = np.abs(np.fft.rfftn(chi[0].numpy().astype(float))) ** 2 / chi[0].numel()
    band = np.round(PLACE.numpy())
    mean = float(chi.double().square().mean())
    known = [j for j in range(len(KNOTS_PER_MM)) if (band == j).sum() > 100]
    return {j: math.log(power[band == j].mean() / mean) for j in known}


def test_knots_lie_at_whole_places_and_beyond_them_is_the_last():
    at = place_of(torch.tensor([KNOTS_PER_MM[0], KNOTS_PER_MM[7], KNOTS_PER_MM[-1], 9.0, 0.0]))
    assert np.allclose(at, [0, 7, 14, 14, 0], atol=1e-4)


def test_white_noise_has_its_variance_at_every_frequency():
    noise = 0.1 * torch.randn(1, *SIZES, generator=torch.Generator().manual_seed(1))
    power = field_power(noise, EVERYWHERE)[0]
    for low, high in ((0.15, 0.3), (0.3, 0.5), (0.5, 0.9)):  # a border adds to those below
        here = (low < K) & (high > K)
        assert abs(float(power[here].mean()) / 0.01 - 1) < 0.15


def test_a_steep_and_a_flat_map_are_told_apart_at_any_noise():
    for slope in (0.5, 1.0):
        chi = drawn(slope)
        for rho in (1000.0, 30_000.0):
            found = ratios(noisy(chi, rho), rho)
            for j, value in expected(chi).items():
                d2 = float(D[PLACE.round() == j].square().mean())
                # what stands out of the noise; the corners of a cube lie near the cone
                if d2 > 0.02 and math.exp(value) * rho * d2 > 10:
                    assert abs(found[j] - value) < 0.4, (slope, rho, j)


def test_wraps_and_an_offset_change_nothing():
    chi = drawn(1.5)
    phase = noisy(chi, 1000.0)
    moved = wrap(phase + 2.5)
    assert ((moved - phase).abs() > 3).any()  # some of it did wrap
    assert np.allclose(ratios(moved, 1000.0), ratios(phase, 1000.0), atol=1e-3)
    # a broken counterpart: the same by the spectrum of the wrapped phase itself
    plain = torch.fft.rfftn(moved, dim=(1, 2, 3)).abs().square().mean()
    assert not torch.isclose(plain, torch.fft.rfftn(phase, dim=(1, 2, 3)).abs().square().mean())


def test_a_mask_keeps_the_ratio_of_bands():
    chi = drawn(1.0)
    ball = (
        (torch.stack(torch.meshgrid(*[torch.arange(48.0) - 23.5] * 3, indexing="ij"))) ** 2
    ).sum(0)
    mask = (ball < 20**2).float()[None]
    whole, part = (
        ratios(noisy(chi, 3000.0), 3000.0),
        ratios(noisy(chi, 3000.0) * mask, 3000.0, mask),
    )
    middle = slice(5, 12)
    assert np.abs(whole[middle] - part[middle]).max() < 0.6


def test_bands_without_places_have_their_neighbours_value():
    found = ratios(noisy(drawn(1.0), 1000.0), 1000.0)
    lowest = int(PLACE.flatten()[1:].min().round())  # the smallest |k| of this grid
    assert lowest > 0
    assert np.isfinite(found).all()
    assert (found[-1] == found[13]) == (not (PLACE.round() == 14).any())
