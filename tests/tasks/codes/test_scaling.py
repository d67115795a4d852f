"""Scalings: there and back, statistics over real pixels only, padding at zero."""

import pytest
import torch

from famulus.tasks.codes.scaling import NAMES, Moments, Scaling

torch.manual_seed(0)
IMAGE = torch.rand(4, 3, 8, 10).double() * torch.tensor([1.0, 0.5, 0.2]).double().view(1, 3, 1, 1)
MASK = torch.zeros(4, 1, 8, 10).double()
MASK[:, :, :, 2:8] = 1


def scaling(name: str) -> Scaling:
    moments = Moments()
    moments.add(IMAGE[:2], MASK[:2])
    moments.add(IMAGE[2:], MASK[2:])
    return Scaling(name, *moments.result())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mask", [None, MASK])
def test_inverse_is_exact_where_pixels_are_real(name, mask):
    scaled = scaling(name)(IMAGE, mask)
    back = scaled.inverse(scaled.x)
    real = (MASK if mask is not None else torch.ones_like(MASK)).expand_as(IMAGE) > 0
    torch.testing.assert_close(back[real], IMAGE[real])
    assert scaled.x[~real].abs().sum() == 0


@pytest.mark.parametrize("name", [n for n in NAMES if n != "per-sample"])
def test_a_picture_that_comes_from_none_is_drawn_alike(name):
    one = scaling(name)
    scaled = one(IMAGE)
    torch.testing.assert_close(one.inverse(scaled.x), IMAGE)
    other = scaling("centred" if name != "centred" else "unit")
    assert not torch.allclose(other.inverse(scaled.x), IMAGE)  # control: another scaling


def test_statistics_ignore_the_padding():
    moments = Moments()
    moments.add(IMAGE, MASK)
    mean, std = moments.result()
    inside = IMAGE[..., 2:8].double()
    torch.testing.assert_close(mean, inside.mean((0, 2, 3)))
    torch.testing.assert_close(std, inside.std((0, 2, 3), unbiased=False))
    moments.add(torch.zeros_like(IMAGE))  # control: counted padding halves the mean
    assert (moments.result()[0] < 0.5 * mean).all()
    with pytest.raises(ValueError, match="received none"):
        Moments().result()


def test_ranges():
    ones = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    assert Scaling("centred", torch.zeros(1), torch.ones(1))(ones).x.unique().tolist() == [-1, 1]
    clamped = Scaling("clamped", torch.zeros(1), torch.ones(1))(ones).x
    torch.testing.assert_close(clamped.unique(), torch.tensor([0.001, 0.999]))
    own = scaling("per-sample")(IMAGE, MASK).x[..., 2:8]
    assert own.mean((1, 2, 3)).abs().max() < 1e-14
    assert (own.std((1, 2, 3), unbiased=False) - 1).abs().max() < 1e-14
    whole = scaling("per-sample")(IMAGE).x[..., 2:8]  # control: as if the padding were real
    assert whole.mean((1, 2, 3)).abs().max() > 0.01


def test_the_checkpoint_carries_the_statistics():
    saved = scaling("standard").state_dict()
    fresh = Scaling("standard", torch.zeros(3), torch.ones(3))
    fresh.load_state_dict(saved)
    torch.testing.assert_close(fresh(IMAGE).x, scaling("standard")(IMAGE).x)
    with pytest.raises(ValueError, match="expected a scaling of"):
        Scaling("255", torch.zeros(1), torch.ones(1))
