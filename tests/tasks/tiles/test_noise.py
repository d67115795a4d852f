"""Against the closed form, an integral by quadrature, and the journal's figure."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from famulus.config.errors import ConfigError
from famulus.tasks.tiles.noise import best_constant_l1, noise_part, open_noise


@pytest.mark.parametrize(
    ("mean", "sd"), [(0.5, 0.5), (0.3, 0.2), (0.9, 1.0), (-0.2, 0.5), (1.1, 0.3)]
)
def test_best_constant_by_quadrature(mean, sd):
    law, median = stats.norm(mean, sd), min(max(mean, 0.0), 1.0)
    inside = integrate.quad(lambda x: abs(x - median) * law.pdf(x), 0, 1, points=[median])[0]
    ends = median * law.cdf(0) + (1 - median) * law.sf(1)
    assert best_constant_l1(mean, sd) == pytest.approx(inside + ends, abs=1e-7)


def test_best_constant_of_the_journal():
    assert best_constant_l1() == pytest.approx(0.3156, abs=5e-5)


def test_pixels_follow_the_law():
    images = open_noise(16, train=400, validation=300).train.images / 255
    n = images.size
    assert abs(np.abs(images - 0.5).mean() - best_constant_l1()) < 5 / np.sqrt(n)
    clamped = stats.norm(0.5, 0.5).cdf(0)
    assert (images == 0).mean() == pytest.approx(clamped, abs=0.01)
    assert (images == 1).mean() == pytest.approx(clamped, abs=0.01)
    wider = open_noise(16, train=400, validation=300, sd=0.6).train.images / 255
    assert abs(np.abs(wider - 0.5).mean() - best_constant_l1()) > 5 / np.sqrt(n)


def test_nothing_is_shared_between_pixels_pictures_or_splits():
    splits = open_noise(8, train=600, validation=600)
    a, b = (s.images.reshape(600, -1) / 255 - 0.5 for s in (splits.train, splits.validation))
    for x, y in ((a[:300], a[300:]), (a[:, :32], a[:, 32:]), (a, b)):
        assert abs((x * y).mean() / x.std() / y.std()) < 5 / np.sqrt(x.size)


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, (6, 9))])
def test_batches_are_those_of_an_image_set(channels, size):
    splits = open_noise(size, channels, train=300, validation=10)
    index = np.array([299, 0, 5])
    source = splits.train
    batch = source.finish(source.gather(index, index), index)
    assert batch["image"].shape == (3, channels, *((8, 8) if size == 8 else size))
    assert batch["image"].dtype == torch.float32
    assert not source.resized
    np.testing.assert_array_equal((batch["image"] * 255).round().numpy(), source.images[index])


def test_same_seed_same_pictures_and_a_larger_set_begins_alike():
    small, large = noise_part("train", 10), noise_part("train", 400)
    np.testing.assert_array_equal(small.load(), large.load()[:10])
    assert small.digest == noise_part("train", 10).digest


def test_every_setting_changes_the_fingerprint():
    settings = [{}, {"seed": 1}, {"sd": 0.4}, {"mean": 0.4}, {"channels": 3}, {"size": 16}]
    settings += [{"train": 21}, {"validation": 11}]
    prints = {
        open_noise(**({"size": 8, "train": 20, "validation": 10} | s)).fingerprint for s in settings
    }
    assert len(prints) == len(settings)


def test_impossible_sizes_are_refused():
    with pytest.raises(ConfigError, match="received count 0"):
        noise_part("train", 0)
    with pytest.raises(ConfigError, match="more than 8 GB"):
        noise_part("train", 10**9)
