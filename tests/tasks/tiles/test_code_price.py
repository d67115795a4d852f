"""The price on a code against numpy in float64; sums over batches against all at once."""

import numpy as np
import pytest
import torch

from famulus.tasks.tiles import code_price

CODE = np.random.default_rng(0).normal(0.3, [0.1, 0.4, 2.0], (50, 3))


def by_hand(code, sd, mean):
    return abs(sd - code.std(axis=0).mean()) + abs(mean - code.mean())


@pytest.mark.parametrize(("sd", "mean"), [(0.5, 0.0), (1.0, 0.3), (0.0, -2.0)])
def test_equals_the_formula(sd, mean):
    code = torch.from_numpy(CODE)
    assert code_price.of_batch(code, sd, mean).item() == pytest.approx(by_hand(CODE, sd, mean))
    everything = by_hand(CODE.reshape(-1, 1), sd, mean)  # one sd of all units: another price
    assert abs(code_price.of_batch(code, sd, mean).item() - everything) > 0.05


@pytest.mark.parametrize("size", [7, 50])
def test_moments_of_batches_are_those_of_all(size):
    parts = [code_price.sums(batch) for batch in torch.from_numpy(CODE).split(size)]
    mean_of = {name: sum(part[name] for part in parts) / len(CODE) for name in parts[0]}
    spread, middle = code_price.moments(mean_of)
    assert spread.item() == pytest.approx(CODE.std(axis=0).mean(), rel=1e-12)
    assert middle.item() == pytest.approx(CODE.mean(), rel=1e-12)


def test_it_pulls_the_code_to_what_is_asked():
    code = torch.tensor(CODE, requires_grad=True)
    optimizer = torch.optim.SGD([code], lr=0.2)
    for _ in range(2000):
        optimizer.zero_grad()
        code_price.of_batch(code, 0.5, 0.0).backward()
        optimizer.step()
    assert code_price.of_batch(code, 0.5, 0.0).item() < 0.02


def test_a_batch_of_one_and_a_dead_unit_have_a_gradient_that_is_finite():
    for code in (torch.tensor([[0.3, -0.2]]), torch.zeros(8, 3)):
        code.requires_grad_()
        price = code_price.of_batch(code, 0.5, 0.1)
        price.backward()
        assert torch.isfinite(price)
        assert torch.isfinite(code.grad).all()
