"""What steps amount to, against products written out and the journal's own figures."""

import math

import pytest
import torch

from famulus.tasks.qsm.steps import amount, residual_polynomial, step_filter

D = torch.linspace(-2 / 3, 1 / 3, 101, dtype=torch.float64)


def test_product():
    tau = torch.tensor([0.3, 2.0, 4.0], dtype=torch.float64)
    x = D.square()
    assert torch.allclose(
        residual_polynomial(x, tau), (1 - 0.3 * x) * (1 - 2 * x) * (1 - 4 * x), atol=1e-14
    )


@pytest.mark.parametrize("first", [0.5, 2.25])  # 1 - 2.25 * 4/9 is 0 in floating point
def test_gradient_of_the_product(first):
    x = torch.cat([D.square(), torch.tensor([4 / 9]).double()])
    tau = torch.tensor([first, 1.5, 0.3, 1.5, -0.1], dtype=torch.float64)
    sign = torch.arange(len(x)) % 3 - 1.0
    ours, theirs = (tau.clone().requires_grad_() for _ in range(2))
    (residual_polynomial(x, ours) * sign).sum().backward()
    product = torch.ones_like(x)
    for k in range(len(tau)):
        product = product * (1 - theirs[k] * x)
    (product * sign).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-14)
    assert float((1 - first * x).abs().min()) == 0 or first != 2.25


def test_momentum_written_out():
    x, tau, beta = torch.tensor([0.2]).double(), [0.5, 1.5, 0.7], [0.1, 0.4, 0.6]
    chi = [0.0, 0.0]  # the scalar problem: field 1, so that chi = 1 - r
    for t, b in zip(tau, beta, strict=True):
        chi.append(chi[-1] - t * (0.2 * chi[-1] - 0.2) + b * (chi[-1] - chi[-2]))
    got = residual_polynomial(x, torch.tensor(tau).double(), torch.tensor(beta).double())
    assert float(got) == pytest.approx(1 - chi[-1])


def test_the_filter_at_the_cone():
    f = step_filter(torch.tensor([0.0, 1e-4], dtype=torch.float64), torch.tensor([1.0, 2.0]))
    assert f[0] == 0
    assert float(f[1]) == pytest.approx(3e-4, rel=1e-6)


def test_only_the_sum_of_small_steps_counts():
    """The journal's 200 x .264, its 26 x 2.016 and one exponential are one filter."""
    first = step_filter(D, torch.full((200,), 0.264, dtype=torch.float64))
    limit = torch.where(D == 0, 0.0, (1 - torch.exp(-52.8 * D**2)) / torch.where(D == 0, 1.0, D))
    assert float((first - limit).norm() / limit.norm()) < 0.01
    other = step_filter(D, torch.full((200,), 0.528, dtype=torch.float64))
    assert float((other - limit).norm() / limit.norm()) > 0.05


def test_gradients_of_equal_steps_stay_equal():
    tau = torch.full((200,), 0.3, dtype=torch.float64, requires_grad=True)
    step_filter(D, tau).square().sum().backward()
    assert float((tau.grad.max() - tau.grad.min()) / tau.grad.mean().abs()) < 1e-9


def test_the_journals_sentence():
    a = amount(torch.full((200,), 0.2644))
    assert a.total == pytest.approx(52.88, abs=0.01)
    assert a.half_power == pytest.approx(math.sqrt(math.log(2) / 52.88), rel=0.01)  # .1145
    assert a.tikhonov_alpha == pytest.approx(0.0131, rel=0.02)
    assert a.sentence.startswith("200 steps of 0.264 are one early stop at total 52.9:")


def test_what_diverges_is_told():
    """tau 5 grows 1.22^200 = 3e17 times at |d| = 2/3; 4.4 does not."""
    a = amount(torch.full((200,), 5.0))
    assert math.log(a.growth) == pytest.approx(200 * math.log(5 * 4 / 9 - 1), rel=1e-6)
    assert "Unstable" in a.sentence
    assert "Unstable" not in amount(torch.full((200,), 4.4)).sentence
    assert "2 of them are negative" in amount(torch.tensor([1.0, -0.1, -0.2])).sentence


def test_steps_with_momentum_are_not_called_one_step():
    a = amount(torch.full((8,), 2.0), torch.full((8,), 0.5))
    assert "with momentum act like" in a.sentence
    assert a.total > 16  # momentum goes further
