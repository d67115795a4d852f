"""Channels-last is a layout of pictures: nets of volumes train without it."""

import pytest
import torch
from torch import nn

from famulus.training.precision import choose, fixed


def test_bf16_takes_a_net_of_volumes():
    net = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU())
    with pytest.raises(RuntimeError, match="rank 4"):
        net.to(memory_format=torch.channels_last)  # what the guard is for
    placed = fixed("bf16").place_model(net)
    with fixed("bf16").autocast(torch.device("cpu")):
        assert placed(torch.zeros(1, 1, 4, 4, 4)).dtype == torch.bfloat16


def test_pictures_are_placed_channels_last():
    net = fixed("bf16").place_model(nn.Conv2d(2, 3, 3))
    assert net.weight.is_contiguous(memory_format=torch.channels_last)
    assert (
        not fixed("fp32")
        .place_model(nn.Conv2d(2, 3, 3))
        .weight.is_contiguous(memory_format=torch.channels_last)
    )


def test_auto_measures_nets_of_both_kinds():
    tried = []

    def step(net, batch, candidate):
        tried.append(candidate)

    device = torch.device("cpu")
    both = nn.ModuleList([nn.Conv2d(1, 2, 3), nn.Conv3d(1, 2, 3)])
    choose("auto", both, {"image": torch.zeros(1, 1, 4, 4)}, step, device)
    assert {(c.name, c.channels_last) for c in tried} == {
        *(("fp32", False), ("bf16", False), ("fp32", True), ("bf16", True))
    }
