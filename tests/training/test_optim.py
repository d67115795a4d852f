"""Every optimizer's state through bytes and back, and the counters of patience."""

import json
import math

import pytest
import torch
from torch import nn

from famulus.config.errors import ConfigError, StoreError
from famulus.config.schema import Optimizer
from famulus.training import checkpoint as pack
from famulus.training.optim import Patience, build_optimizer, optimizer_class

CPU = torch.device("cpu")


def net(channels_last):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 64))
    model.append(nn.Linear(64, 64, bias=False))
    model[4].weight = model[3].weight  # tied
    return model.to(memory_format=torch.channels_last) if channels_last else model


def step(model, optimizer, number):
    torch.manual_seed(number)
    model(torch.randn(5, 2, 6, 6)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", ["adam", "AdamW", "sgd", "rmsprop", "adagrad", "nadam", "adamax"])
def test_state_survives_bytes_bit_for_bit(name, channels_last):
    options = {"momentum": 0.9} if name in ("sgd", "rmsprop") else {}
    spec = Optimizer.model_validate({"name": name, "lr": 0.01, **options})

    def fresh():
        model = net(channels_last)
        return model, build_optimizer(spec, [{"params": list(model.parameters())}], CPU)

    whole, resumed, lost = fresh(), fresh(), fresh()
    for number in range(4):
        step(*whole, number)
    weights = pack.model_bytes(whole[0])
    tensors, scalars = pack.optimizer_parts(whole[1], whole[0])
    pack.load_model(resumed[0], weights, "test")
    pack.load_optimizer(resumed[1], resumed[0], tensors, scalars)
    pack.load_model(lost[0], weights, "test")  # negative control: weights alone
    for number in range(4, 7):
        for pair in (whole, resumed, lost):
            step(*pair, number)
    assert pack.model_bytes(resumed[0]) == pack.model_bytes(whole[0])
    assert pack.model_bytes(lost[0]) != pack.model_bytes(whole[0])


def test_weights_of_another_net_are_refused_by_name():
    other, four = (nn.Sequential(nn.Conv2d(2, n, 3, bias=False)) for n in (5, 4))
    with pytest.raises(StoreError, match=r"0\.weight expected shape \(5, 2, 3, 3\)"):
        pack.load_model(other, pack.model_bytes(four), "a file")


def test_names_and_what_does_not_fit_the_loop():
    assert optimizer_class("ADAMW") is torch.optim.AdamW
    with pytest.raises(ConfigError, match="did you mean 'adam'"):
        optimizer_class("adamm")
    with pytest.raises(ConfigError, match="many times a step"):
        optimizer_class("LBFGS")


@pytest.mark.parametrize("direction", ["min", "max", None])
def test_patience_goes_on_where_it_was_stopped(direction):
    """Cut anywhere, a counter that is restored answers as one that was never stopped."""
    values = [3.0, 2.0, 2.5, math.nan, 2.2, 1.9, 1.95, 4.0, 5.0, 4.5, 4.4, 1.0]
    whole = Patience(direction, 2, score="val/loss")
    answers = [whole.exhausted(v) for v in values]
    assert True in answers
    for cut in range(len(values)):
        before, after = (Patience(direction, 2, score="val/loss") for _ in range(2))
        for value in values[:cut]:
            before.exhausted(value)
        after.restore(json.loads(json.dumps(before.state())))
        assert [after.exhausted(v) for v in values[cut:]] == answers[cut:], cut
        assert after.state() == whole.state()
