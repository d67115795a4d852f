"""Spectra of volumes against the volumes themselves, and noise against what was added."""

import numpy as np
import pytest
import torch

from famulus.tasks.qsm.dipole import Geometry, apply_kernel, dipole_kernel, frequency
from famulus.tasks.qsm.inversion import tikhonov_filter, tkd_filter
from famulus.tasks.qsm.spectrum import (
    Bins,
    best_alpha,
    best_threshold,
    best_total,
    noise_ratio,
)
from famulus.tasks.qsm.steps import step_filter

GEOMETRY = Geometry.aligned((1.0, 1.0, 1.0))


def pair(shape, noise=0.1, batch=2, seed=0):
    random = torch.Generator().manual_seed(seed)
    chi = torch.randn(batch, *shape, generator=random, dtype=torch.float64)
    d = dipole_kernel(shape, GEOMETRY).double()
    field = apply_kernel(chi, d)
    field = field + noise * torch.randn(field.shape, generator=random, dtype=torch.float64)
    return field, chi, d


@pytest.mark.parametrize("shape", [(12, 10, 8), (9, 11, 7)])
def test_loss_is_that_of_the_volumes(shape):
    field, chi, d = pair(shape)
    bins = Bins.of(d.float(), shape[2])
    spectrum = bins.spectrum(field, chi)
    f = step_filter(bins.d_K, torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64))
    volume_f = f[bins.index].reshape(d.shape)
    rebuilt = torch.fft.irfftn(
        torch.fft.rfftn(field, dim=(1, 2, 3)) * volume_f, s=shape, dim=(1, 2, 3)
    )
    exact = (rebuilt - chi).square().mean((1, 2, 3))
    assert torch.allclose(spectrum.loss(f), exact, rtol=1e-12)
    assert torch.allclose(spectrum.mean().loss(f), exact.mean())


def test_a_forgotten_half_is_seen():  # each inner column of a half spectrum stands for two
    field, chi, d = pair((12, 10, 8))
    bins = Bins.of(d.float(), 8)
    forgotten = Bins(bins.d_K, bins.index, torch.ones_like(bins.weight)).spectrum(field, chi)
    f = tikhonov_filter(bins.d_K, 0.1)
    assert not torch.allclose(forgotten.loss(f), bins.spectrum(field, chi).loss(f), rtol=0.01)


def test_bins_are_close_to_exact():
    field, chi, d = pair((24, 24, 24))
    exact, coarse = Bins.of(d.float(), 24), Bins.of(d.float(), 24, most=500)
    both = Bins.of(d.float(), 24, frequency((24, 24, 24), GEOMETRY))
    assert len(coarse.d_K) <= 500 < len(exact.d_K)
    losses = [
        b.spectrum(field, chi).loss(tikhonov_filter(b.d_K, 0.05)) for b in (exact, coarse, both)
    ]
    assert torch.allclose(losses[1], losses[0], rtol=1e-3)
    assert torch.allclose(losses[2], losses[0], rtol=1e-3)
    assert both.k_K.max() <= 3**0.5 / 2


def test_nothing_beats_the_best_filter():
    field, chi, d = pair((24, 24, 24), noise=0.15)
    bins = Bins.of(d.float(), 24, most=400)
    s = bins.spectrum(field, chi).mean()
    least = float(s.loss(s.best()))
    for make, best in ((tikhonov_filter, best_alpha), (tkd_filter, best_threshold)):
        value, loss = best(s)
        assert loss >= least
        assert loss <= min(float(s.loss(make(s.d_K, value * r))) for r in (0.9, 1.1))
    total, loss = best_total(s)
    assert loss >= least
    assert total == pytest.approx(0.58 / 0.15**2, rel=0.3)  # .58 rho


@pytest.mark.parametrize("noise", [0.3, 0.1, 0.05])
def test_noise_is_seen_in_the_field_alone(noise):
    field, _, _ = pair((40, 40, 40), noise)
    assert noise_ratio(field, GEOMETRY).tolist() == pytest.approx([noise**-2] * 2, rel=0.15)


def test_the_noise_is_a_line_through_bands():
    """|phi(k)|^2 over d^2 by numpy's weighted fit: a mean of n powers spreads as it over root n."""
    field, _, d = pair((16, 18, 20), 0.2)
    band = np.minimum((d.numpy() ** 2 * 32 * 9 / 4).astype(int), 31).ravel()
    d2 = d.numpy().ravel() ** 2
    rows = []
    for volume in field.numpy():
        power = np.abs(np.fft.rfftn(volume)).ravel() ** 2
        means = [(d2[band == b].mean(), power[band == b].mean()) for b in range(32)]
        x, y = np.array(means).T
        count = np.bincount(band, minlength=32)
        fits = [np.polyfit(x, y, 1, w=w) for w in (np.sqrt(count) / y, 1 / y)]
        rows.append([slope / noise for slope, noise in fits])
    weighted, plain = np.array(rows).T
    found = noise_ratio(field, GEOMETRY).tolist()
    assert found == pytest.approx(weighted.tolist(), rel=1e-3)
    assert np.abs(plain / weighted - 1).max() > 0.01


def test_a_kernel_along_another_axis_is_noise():
    field, _, _ = pair((32, 32, 32), 0.05)
    wrong = Geometry.aligned((1.0, 1.0, 1.0), (0.0, 1.0, 0.0))
    assert noise_ratio(field, wrong).max() < 10 < noise_ratio(field, GEOMETRY).min()
