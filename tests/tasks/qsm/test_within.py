"""Steps that keep to the mask, against each step written out in float64 numpy."""

import numpy as np
import torch

from famulus.tasks.qsm.descent import descend
from famulus.tasks.qsm.dipole import Geometry, dipole_kernel, frequency
from famulus.tasks.qsm.within import descend_within

SIZES, AXES = (6, 8, 10), (0, 1, 2)
GEOMETRY = Geometry.aligned((1.0, 1.2, 0.8), (0.9, 0.1, 0.3))


def problem(dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    phase = torch.randn(2, *SIZES, generator=random, dtype=torch.float64)
    weight = torch.rand(2, *SIZES, generator=random, dtype=torch.float64) + 0.2
    mask = (torch.rand(2, *SIZES, generator=random) > 0.3).double()
    d = dipole_kernel(SIZES, GEOMETRY)
    p = 1 / (d.square() + 0.05 + 0.1 * frequency(SIZES, GEOMETRY))[None].repeat(2, 1, 1, 1)
    tau = torch.tensor([[0.4, 0.3, 0.5], [0.2, 0.6, 0.4]])
    beta = torch.tensor([[0.0, 0.5, 0.3], [0.1, 0.2, 0.6]])
    return [v.to(dtype) for v in (phase, d, p, tau, beta, (weight * mask).square(), mask)]


def by_hand(phase, d, p, tau, beta, weight2, mask):
    """v <- beta v - tau M P D W^2 sin(D chi - phase), chi <- chi + v."""
    maps = []
    for b in range(len(phase)):
        chi = v = np.zeros(SIZES)
        for k in range(tau.shape[1]):
            field = np.fft.irfftn(np.fft.rfftn(chi) * d, SIZES, AXES)
            pull = weight2[b] * np.sin(field - phase[b])
            gradient = np.fft.irfftn(np.fft.rfftn(pull) * d * p[b], SIZES, AXES)
            v = beta[b, k] * v - tau[b, k] * gradient * mask[b]
            chi = chi + v
        maps.append(chi)
    return np.stack(maps)


def test_three_steps_are_what_the_formula_says():
    parts = problem()
    expected = by_hand(*(v.numpy() for v in parts))
    np.testing.assert_allclose(descend_within(*parts).numpy(), expected, atol=1e-12)


def test_the_map_is_zero_outside_of_the_mask_and_the_mask_matters():
    phase, d, p, tau, beta, weight2, mask = problem()
    chi = descend_within(phase, d, p, tau, beta, weight2, mask)
    assert not chi[mask == 0].any()
    free = descend_within(phase, d, p, tau, beta, weight2, torch.ones_like(mask))
    assert (free[mask == 0].abs() > 1e-3).any()
    assert (free - chi)[mask > 0].abs().max() > 1e-3  # not what a mask at the end would give


def test_without_a_mask_they_are_the_steps_in_k_space():
    phase, d, p, tau, beta, weight2, _ = problem(torch.float32)
    ours = descend_within(phase, d, p, tau, beta, weight2, torch.ones_like(phase))
    theirs = descend(phase, d, tau, beta, weight2.sqrt(), precondition=p)
    # along d = 0 steps in k-space change nothing, by what they divide
    assert torch.allclose(ours, theirs, atol=2e-5 * float(theirs.abs().max()))


def test_gradients_are_those_of_finite_differences():
    phase, d, p, tau, beta, weight2, mask = problem()

    def loss(p, tau, beta):
        return descend_within(phase, d, p, tau, beta, weight2, mask).square().sum()

    parts = [v.clone().requires_grad_() for v in (p, tau, beta)]
    loss(*parts).backward()
    for i, part in enumerate(parts):
        way = torch.rand(part.shape, generator=torch.Generator().manual_seed(i)).double()
        moved = [v.detach() for v in parts]
        h = 1e-6
        moved[i] = parts[i].detach() + h * way
        above = loss(*moved)
        moved[i] = parts[i].detach() - h * way
        slope = float((above - loss(*moved)) / (2 * h))
        assert np.isclose(float((part.grad * way).sum()), slope, rtol=1e-5)
