"""What is read of a loop's passes: figures against closed forms, and nothing changed by it."""

import copy
import warnings

import pytest
import torch
from torch import nn

from famulus.bridges.rate_path import RatePath
from famulus.bridges.starts import strangers, weights_at_start
from famulus.diagnosis.probes.passes import Passes, ValidationModes


def call(work):
    return work()


def passes(net, *optimizers):
    return Passes(net, optimizers, call)


def line():
    """One weight w, whose gradient of the loss x w is x."""
    net = nn.Linear(1, 1, bias=False)
    return net, torch.optim.SGD(net.parameters(), lr=0.0)


def backward(net, x):
    net(torch.tensor([[x]])).sum().backward()


def test_what_lies_in_grad_when_a_gradient_arrives():
    net, optimizer = line()
    backward(net, 3.0)
    seen = passes(net, optimizer)
    backward(net, 4.0)
    optimizer.step()
    facts = seen.facts()
    assert facts["gradients"] == [{"kept": 3.0, "arrived": 4.0, "used": 7.0}]
    assert facts["order"] == ["forward", "backward", "update"]


@pytest.mark.parametrize("to_none", [True, False])
def test_the_clearest_arrival_counts(to_none):
    net, optimizer = line()
    backward(net, 3.0)
    seen = passes(net, optimizer)
    backward(net, 4.0)
    optimizer.zero_grad(set_to_none=to_none)
    backward(net, 5.0)
    backward(net, 6.0)
    optimizer.step()
    assert seen.facts()["gradients"] == [{"kept": 0.0, "arrived": 5.0, "used": 11.0}]


@pytest.mark.parametrize("to_none", [True, False])
def test_what_an_update_finds(to_none):
    net, optimizer = line()
    seen = passes(net, optimizer)
    backward(net, 4.0)
    optimizer.zero_grad(set_to_none=to_none)
    optimizer.step()
    assert seen.facts()["gradients"] == [{"kept": 0.0, "arrived": 4.0, "used": 0.0}]


def test_gradients_that_are_no_numbers_say_nothing():
    net, optimizer = line()
    seen = passes(net, optimizer)
    backward(net, float("inf"))
    optimizer.step()
    assert seen.facts()["gradients"] == [{}]


def test_calls_without_gradients_and_updates_with_closures_make_no_order():
    net, optimizer = line()
    seen = passes(net, optimizer)
    with torch.no_grad():
        net(torch.ones(1, 1))
    backward(net, 1.0)
    assert seen.facts()["order"] == ["forward", "backward"]
    seen = passes(net, optimizer)
    optimizer.step(lambda: net(torch.ones(1, 1)).sum())
    assert "order" not in seen.facts()


def test_an_update_within_the_backward_pass_is_not_judged():
    net, optimizer = line()
    weight = net.weight

    def update(parameter):
        optimizer.step()
        optimizer.zero_grad()

    weight.register_post_accumulate_grad_hook(update)
    seen = passes(net, optimizer)
    backward(net, 1.0)
    assert seen.facts()["gradients"] == [{}]


def test_modes_dropout_and_norms():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.3), nn.Dropout2d(0.7))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    seen = passes(net, optimizer)
    net(torch.randn(2, 1, 6, 5))
    facts = seen.facts()
    assert facts["training"] is True
    assert facts["modes"] == [True]
    assert facts["norm"] == {"name": "1", "type": "BatchNorm2d", "values": 24, "samples": 2}
    assert facts["dropout"] == {"name": "3", "type": "Dropout2d", "p": 0.7}
    net[1].eval()
    seen = passes(net, optimizer)
    net(torch.randn(2, 1, 6, 5))
    facts = seen.facts()
    assert facts["modes"] == [False, True]
    assert "norm" not in facts


def test_nothing_stays_behind_and_copies_are_quiet():
    net, optimizer = line()
    seen = passes(net, optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twin = copy.deepcopy(net)
        torch.utils.hooks.warn_if_has_hooks(net.weight)  # as a process that shares it asks
    assert not twin.weight._backward_hooks
    seen.remove()
    assert not net.weight._backward_hooks
    assert not net.weight._post_accumulate_grad_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    backward(net, 2.0)
    assert seen.order == []


@pytest.mark.parametrize("validated", [4, 3])
def test_a_validation_is_expected_where_it_came_before(validated):
    """Every fourth step; or one that comes sooner, which nobody saw."""
    net = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5))
    modes = ValidationModes(net, call)
    seen = []
    for step in range(1, 17):
        net(torch.ones(1, 1))
        modes.stepped(step)
        if step in (4, 4 + validated, 8 + validated):
            net.train(step == 4)
            net(torch.ones(1, 1))
            seen.append(modes.validated(step))
            net.train()
    assert seen[0] == ""  # nobody could know
    assert seen[1] == ("evaluation" if validated == 4 else "")
    modes.close()
    assert not torch.nn.modules.module._global_forward_pre_hooks


# -- starts and rates ------------------------------------------------------------------------


def test_weights_at_the_start_beside_a_usual_one():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(200, 300), nn.Conv2d(8, 16, 3), nn.Linear(50, 60), nn.Linear(2, 2)
    )
    nn.init.kaiming_normal_(net[1].weight)
    nn.init.constant_(net[2].weight, 0.1)
    first, second, third = weights_at_start(net)  # of four weights nobody can say
    assert (first["alike"], first["fresh"]) == (False, True)
    assert first["size"] == pytest.approx(6**-0.5, rel=0.02)  # 1 / sqrt(3 n) over sqrt(2 / n)
    assert (second["alike"], second["fresh"]) == (False, False)
    assert second["size"] == pytest.approx(1.0, rel=0.1)
    assert (third["alike"], third["size"]) == (True, pytest.approx(0.1 / (2 / 50) ** 0.5, rel=1e-3))
    net[0].weight.data[0, 0] = 0.2  # one beyond 1 / sqrt(200): no longer as it was drawn
    assert weights_at_start(net)[0]["fresh"] is False


def test_whose_tensors_an_optimizer_holds():
    net, other = nn.Linear(2, 2), nn.Linear(2, 2)
    both = torch.optim.SGD([*net.parameters(), other.weight], lr=0.1)
    assert strangers(net, [both]) == {"tensors": 3, "own": 2}
    assert strangers(nn.Linear(2, 2), [both]) == {"tensors": 3, "own": 0}


def test_changes_and_turns_of_a_rate():
    path = RatePath()
    for rate in (1.0, 1.0, 0.5, 0.5, 0.25, 0.5, 1.0, 0.5, 0.5, 1.0):
        path.add(rate)
    assert path.take() == {"lr_changes": 6, "lr_turns": 2}
    assert path.take() == {}
    path.add(1.0)
    assert path.take() == {}
