"""Arithmetic and layout: each net in its own channels-last format, `auto` by measurement."""

import pytest
import torch
from torch import nn

from famulus.training import precision
from famulus.training.precision import choose, fixed


def test_a_net_of_volumes_is_placed_channels_last_too():
    net = nn.Sequential(nn.Conv3d(3, 2, 3), nn.ReLU(), nn.Conv3d(2, 1, 1))
    with pytest.raises(RuntimeError, match="rank 4"):
        net.to(memory_format=torch.channels_last)  # the format of pictures does not take volumes
    placed = fixed("bf16").place_model(net)
    assert placed[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    with fixed("bf16").autocast(torch.device("cpu")):
        assert placed(torch.zeros(1, 3, 4, 4, 4)).dtype == torch.bfloat16


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


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({("fp32", True): 0.90}, ("fp32", True, 1.11)),  # a layout costs no exactness
        ({("fp32", True): 0.97}, ("fp32", False, 1.0)),
        ({("bf16", True): 0.90}, ("fp32", False, 1.0)),  # not worth the digits
        ({("bf16", True): 0.50, ("fp32", True): 0.8}, ("bf16", True, 2.0)),
        ({("bf16", True): 0.90, ("fp32", True): 0.93}, ("fp32", True, 1.08)),
        ({("bf16", False): 1.50, ("bf16", True): 1.5}, ("fp32", False, 1.0)),
    ],
)
def test_auto_takes_what_pays(monkeypatch, seconds, chosen):
    """Against a clock that moves as told: the fastest of those whose gain is worth it."""
    clock = [0.0]
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock[0])

    def step(net, batch, candidate):
        clock[0] += seconds.get((candidate.name, candidate.channels_last), 1.0)

    found = choose("auto", nn.Conv3d(1, 2, 3), {}, step, torch.device("cpu"))
    assert (found.name, found.channels_last, found.gain) == chosen


def test_what_is_hopelessly_slow_is_tried_twice_and_no_more(monkeypatch):
    """A pass of 12 s beside one of .4 s: six of each would be minutes before the first step."""
    clock, passes = [0.0], []
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock[0])

    def step(net, batch, candidate):
        passes.append(candidate.name)
        clock[0] += 12.0 if candidate.name == "bf16" else 0.4

    choice = choose("auto", nn.Conv3d(1, 2, 3), {}, step, torch.device("cpu"))
    assert (choice.name, choice.gain) == ("fp32", 1.0)
    assert passes.count("bf16") == 2 * 2
    assert passes.count("fp32") == 2 * 6


@pytest.mark.parametrize("hiccup", [100.0, 0.001])
def test_one_pass_that_takes_long_or_no_time_decides_nothing(monkeypatch, hiccup):
    """The median of the passes: neither their mean, nor the fastest, nor the slowest."""
    clock, passes = [0.0], {}
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock[0])

    def step(net, batch, candidate):
        key = candidate.name, candidate.channels_last
        passes[key] = passes.get(key, 0) + 1
        usual = 0.5 if key == ("bf16", True) else 1.0
        odd = key == (("bf16", True) if hiccup > 1 else ("fp32", False))
        clock[0] += hiccup if odd and passes[key] in (1, 3, 4) else usual  # the first warms up

    found = choose("auto", nn.Conv3d(1, 2, 3), {}, step, torch.device("cpu"))
    assert (found.name, found.channels_last, found.gain) == ("bf16", True, 2.0)
