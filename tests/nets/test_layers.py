"""Building blocks of nets: groups of a norm, shapes of convolutions, parameters that count once."""

import itertools

import pytest
import torch
from torch import nn

from famulus.nets.layers import CONV, conv_shapes, each, normalisation, parameters

GROUPS = {1: 1, 2: 2, 6: 6, 7: 7, 8: 8, 9: 3, 10: 5, 11: 1, 12: 6, 16: 8, 24: 8, 49: 7, 64: 8}


@pytest.mark.parametrize(("channels", "groups"), GROUPS.items())
def test_group_norm_has_up_to_eight_groups(channels, groups):
    (norm,) = normalisation("group", channels, 2)
    assert (norm.num_groups, norm.num_channels) == (groups, channels)


@pytest.mark.parametrize("dims", [2, 3])
def test_norms_by_name(dims):
    x = torch.randn(2, 6, *[4] * dims)
    assert normalisation("none", 6, dims) == []
    for name in ("batch", "group", "instance"):
        (norm,) = normalisation(name, 6, dims)
        assert norm(x).shape == x.shape
        assert parameters(norm) == 12  # a scale and a shift a channel
    with pytest.raises(ValueError, match="expected one of none, batch, group, instance"):
        normalisation("layer", 6, dims)


@pytest.mark.parametrize("dims", [2, 3])
def test_shapes_are_those_that_torch_makes(dims):
    for size, k, s, p in itertools.product((5, 6, 8), (1, 3, 4, 5), (1, 2, 3), (0, 1, 2)):
        shape = (1, size, *[9] * (dims - 1))
        shapes = conv_shapes(shape, [2], [k], [s], [p])
        made = CONV[dims](1, 2, k, s, p)(torch.zeros(1, *shape)).shape[1:]
        assert shapes == [shape, tuple(made)], (size, k, s, p)


@pytest.mark.parametrize(("kernel", "padding"), [(5, 0), (7, 1)])
def test_the_largest_kernel_that_fits(kernel, padding):
    assert conv_shapes((1, 5, 9), [2], [kernel], [1], [padding])[1][:2] == (2, 1)
    with pytest.raises(ValueError, match=f"conv 1 of 1 needs at least {kernel + 1} pixels"):
        conv_shapes((1, 5, 9), [2], [kernel + 1], [1], [padding])


def test_one_number_a_layer():
    assert each(3, 2, "kernel") == [3, 3]
    assert each([3, 5], 2, "kernel") == [3, 5]
    with pytest.raises(ValueError, match="kernel: expected 2 numbers"):
        each([3], 2, "kernel")


def test_shared_and_frozen_parameters():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert parameters(net) == 9 + 3 + 3
    net[0].bias.requires_grad_(False)
    assert parameters(net) == 9 + 3
