"""Views of pictures against torch's affine grids, colours by hand, and their own promise."""

import numpy as np
import pytest
import torch

from famulus.feed import draws
from famulus.images.views import View, augment, greyscale

VIEW = View(least_area=0.5, flip_h=0.5, jitter=0.3, grey=0.2, noise=0.5)


def seeds(count):
    mixed = np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64)
    return draws.seeds_of(mixed)


def pictures(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_views_differ_by_sample_and_by_number_and_by_default_change_nothing():
    x = pictures(1, 3, 10, 10).repeat(6, 1, 1, 1)
    one, two = augment(x, seeds(6), VIEW, 0), augment(x, seeds(6), VIEW, 1)
    assert len({tuple(row.flatten().tolist()) for row in one}) == 6  # not one draw for the batch
    assert not torch.equal(one, two)
    assert augment(x, seeds(6), View()) is x


def test_a_flip_is_exact():
    x = pictures(50, 3, 6, 6)
    out = augment(x, seeds(50), View(flip_h=0.5))
    flipped = torch.tensor([torch.equal(o, i.flip(2)) for o, i in zip(out, x, strict=True)])
    same = torch.tensor([torch.equal(o, i) for o, i in zip(out, x, strict=True)])
    assert (flipped ^ same).all()
    assert 10 < flipped.sum() < 40


def test_grey_channels_have_memory_of_their_own():
    """`expand` shares memory: writing a patch into one channel would write into all."""
    grey = greyscale(pictures(2, 3, 4, 4))
    grey[:, 0] = 0
    assert grey[:, 1].max() > 0


def test_crops_and_colours_are_affine_grids_and_products():
    """The same crop by torch's affine_grid, the same colours step by step, in float64."""
    x, s = pictures(9, 3, 10, 14).double(), seeds(9)
    how = View(least_area=0.4, flip_h=0.5, flip_v=0.5)
    child = draws.children(s, 0)
    u = draws.uniforms(child, 100, 4)
    area, aspect = 0.4 + 0.6 * u[:, 0], (4 / 3) ** (2 * u[:, 1] - 1)
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    theta = torch.zeros(9, 2, 3)
    theta[:, 0, 0] = wide * (1 - 2 * draws.chances(child, 101, 0.5).float())
    theta[:, 1, 1] = high * (1 - 2 * draws.chances(child, 102, 0.5).float())
    theta[:, 0, 2] = (2 * u[:, 2] - 1) * (1 - wide)
    theta[:, 1, 2] = (2 * u[:, 3] - 1) * (1 - high)
    grid = torch.nn.functional.affine_grid(theta.double(), list(x.shape), align_corners=False)
    sample = torch.nn.functional.grid_sample
    expected = sample(x, grid, padding_mode="border", align_corners=False)
    assert torch.allclose(augment(x, s, how), expected, atol=1e-5)
    f = 1 + 0.3 * (2 * draws.uniforms(child, 103, 5) - 1)
    for b in range(9):
        mean = x[b].mean()
        by_hand = ((x[b] - mean) * f[b, 1] + mean) * f[b, 0] * f[b, 2:, None, None]
        found = augment(x, s, View(jitter=0.3))[b]
        assert torch.allclose(found, by_hand.clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize(
    "how", [VIEW, View(jitter=0.3), View(flip_h=0.5, flip_v=0.5), View(noise=1.0), View(grey=0.5)]
)
def test_a_view_does_not_depend_on_its_neighbours(how):
    x, s = pictures(7, 3, 6, 8), seeds(7)
    x[3:] *= 0.2  # neighbours of another brightness
    together = augment(x, s, how)
    for b in range(7):
        assert torch.allclose(augment(x[b : b + 1], s[b : b + 1], how)[0], together[b], atol=1e-6)
