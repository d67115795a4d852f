"""Gradients drawn from a known distribution."""

import math
import tracemalloc

import numpy as np
import pytest
import torch

from famulus.nets.noise_scale import NoiseScale, advice, noise_scale


@pytest.mark.parametrize("sd", [0.5, 3.0])
def test_it_finds_trace_over_square(sd):
    g = torch.Generator().manual_seed(0)
    true = torch.full((200,), 0.3)
    drawn = []
    for i in range(400):
        size = 4 if i % 2 else 8
        noise = sd * torch.randn(size, 200, generator=g).mean(0)
        drawn.append((true + noise, size))
    assert noise_scale(drawn) == pytest.approx(200 * sd**2 / (200 * 0.3**2), rel=0.1)


def test_without_noise_it_is_zero_and_pure_noise_is_no_small_scale():
    same = [(torch.ones(5), 4)] * 6
    assert noise_scale(same) == pytest.approx(0, abs=1e-9)
    g = torch.Generator().manual_seed(1)
    found = noise_scale([(torch.randn(500, generator=g), 4) for _ in range(50)])
    assert math.isnan(found) or found > 100
    with pytest.raises(ValueError, match="two"):
        noise_scale(same[:1])


def test_advice_below_and_above_the_scale():
    assert "worth 3.9 steps" in advice(10_000, 64)
    assert "a batch of 1024 instead of 256 is worth 1 step of 256 and" in advice(1, 256)


@pytest.mark.parametrize("seed", range(5))
def test_running_sums_are_the_formula_over_all_gradients(seed):
    """McCandlish et al. 2018, A.1, with every gradient kept, in NumPy and float64."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, 30)
    drawn = 0.2 + rng.normal(size=(30, 50)) / np.sqrt(sizes)[:, None]
    whole = (drawn * sizes[:, None]).sum(0) / sizes.sum()
    small, big = (drawn**2).sum(1).mean(), (whole**2).sum()
    b, all_b = 1 / (1 / sizes).mean(), sizes.sum()  # harmonic mean, as one |g|^2 is averaged
    noise = (small - big) / (1 / b - 1 / all_b)
    signal = (all_b * big - b * small) / (all_b - b)
    sums = NoiseScale()
    for g, size in zip(drawn, sizes, strict=True):
        sums.add(torch.from_numpy(g), int(size))
    assert sums.value == pytest.approx(noise / signal, rel=1e-12)
    assert sums.value == noise_scale(
        [(torch.from_numpy(g), int(n)) for g, n in zip(drawn, sizes, strict=True)]
    )


def test_a_hundred_gradients_take_the_memory_of_a_few():
    g = torch.ones(100_000, dtype=torch.float64).numpy()
    tracemalloc.start()
    sums = NoiseScale()
    for i in range(100):
        sums.add(torch.from_numpy(g + i), 1)
    assert tracemalloc.get_traced_memory()[1] < 5 * g.nbytes
    kept = [torch.from_numpy(g + i) for i in range(100)]
    assert tracemalloc.get_traced_memory()[1] > 99 * g.nbytes  # what keeping them takes
    tracemalloc.stop()
    assert len(kept) == sums.count
