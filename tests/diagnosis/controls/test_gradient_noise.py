"""The noise scale of a gradient, against a problem that has it in closed form."""

import numpy as np
import pytest
import torch
from torch import nn

from famulus.diagnosis.controls.gradient_noise import gradient_noise
from tests.launch.sound import Sound, found


def test_noise_scale_of_a_quadratic_with_known_covariance():
    """Loss |w - x|^2 / 2, x ~ N(mu, S): the gradient of an example is w - x, so that
    B = tr S / |w - mu|^2 exactly."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(5, 5))
    covariance = mix @ mix.T
    mu, w = rng.normal(size=5), rng.normal(size=5) + 2
    exact = np.trace(covariance) / ((w - mu) ** 2).sum()
    x = rng.multivariate_normal(mu, covariance, size=40_000)
    parts = [(torch.from_numpy(w - x[i : i + 8].mean(0)), 8) for i in range(0, len(x), 8)]
    told = gradient_noise(parts, batch=64)
    assert told.figures["noise_scale"] == pytest.approx(exact, rel=0.03)
    worth = (1 + exact / 64) / (1 + exact / 256)  # steps that one of 256 is worth
    assert f"worth {worth:.2g} step" in told.text
    biased = np.mean([float(((g - torch.from_numpy(w - mu)) ** 2).sum()) for g, _ in parts])
    assert abs(biased / ((w - mu) ** 2).sum() / exact - 1) > 0.5  # without the factor of the size


def test_a_gradient_that_is_all_noise_is_said_to_be_so():
    noise = torch.randn(6, 50, generator=torch.Generator().manual_seed(1)).double()
    told = gradient_noise([(row - noise.mean(0), 4) for row in noise], 16)
    assert told.figures["noise_scale"] is None
    assert "all noise" in told.text


class OneSample(Sound):
    """A net without batch norm, which takes a batch of one."""

    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def test_a_batch_of_one_has_no_gradients_to_compare():
    told = found(OneSample(), "gradient noise", batch=1)["gradient noise"]
    assert told.verdict == "skipped"
    assert "too small to be halved" in told.text
