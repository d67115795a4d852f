"""The net that follows the scan: what it is before training, and what each of its parts does."""

import numpy as np
import pytest
import torch

from famulus.tasks.qsm.adaptive import RHO_DECADES, AdaptiveNdi
from famulus.tasks.qsm.dipole import Geometry, apply_kernel, dipole_kernel
from famulus.tasks.qsm.inversion import suited_alpha, usable
from famulus.tasks.qsm.ndi import Grid, Ndi

SIZES = (16, 18, 20)
GRID = Grid(SIZES, Geometry.aligned((1.0, 1.0, 1.0)))
D, K = GRID.kernels(torch.device("cpu"))


def scan(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    chi = torch.randn(batch, *SIZES, generator=random)
    phase = apply_kernel(chi, D) + 0.05 * torch.randn(batch, *SIZES, generator=random)
    mask = torch.ones(batch, *SIZES)
    mask[:, :, :3] = 0
    return phase * mask, mask


def moved(net: torch.nn.Module, by: float = 0.3) -> torch.nn.Module:
    """With parameters that nothing is equal in."""
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += by * torch.randn(parameter.shape, generator=random)
    return net


def test_between_decades_of_rho_steps_run_straight_and_end_at_the_last():
    net = moved(AdaptiveNdi(3))
    rho = torch.tensor([10.0, 100.0, 10**1.25, 1e-4, 1e-1, 1e9, 1e5])
    tau, beta = net.schedule(rho)
    assert torch.allclose(tau[2].log(), 0.75 * tau[0].log() + 0.25 * tau[1].log(), atol=1e-5)
    assert torch.equal(tau[3], tau[4])
    assert torch.equal(tau[5], tau[6])
    assert ((beta > 0) & (beta < 1)).all()
    assert (tau > 0).all()


def test_before_training_a_long_step_of_one_is_wieners_filter():
    """One step of tau over the preconditioner is d / (d^2 + 1/rho + 1/330), at every |k|."""
    net = AdaptiveNdi(1, tau=9 / 4)
    d, rho = torch.linspace(-2 / 3, 1 / 3, 50), 10.0 ** torch.tensor(RHO_DECADES)
    f = net.filter(d, rho, torch.linspace(0.01, 0.9, 50)).detach()
    wiener = d / (d.square() + 1 / rho[:, None] + 1 / 330)
    assert torch.allclose(f, wiener, atol=1e-5)


def test_lambda_follows_k_the_voxel_and_the_scans_own_power():
    net = moved(AdaptiveNdi(2))
    d, k, rho = torch.full((4,), 0.2), torch.full((4,), 0.2), torch.tensor([50.0])
    p = net.preconditioner(d, k, rho)
    assert not torch.allclose(p, net.preconditioner(d, 2 * k, rho))
    cycles = torch.full((4,), 0.45)
    assert not torch.allclose(p, net.preconditioner(d, k, rho, cycles))
    own = torch.full((1, 15), 2.0)
    assert not torch.allclose(p, net.preconditioner(d, k, rho, None, own))
    with torch.no_grad():
        net.own_RJ.fill_(-1.0)  # as Wiener has it: lambda is noise over power
    ratio = net.preconditioner(torch.zeros(1), k[:1], rho, None, own)
    assert torch.allclose(ratio / net.preconditioner(torch.zeros(1), k[:1], rho), own.exp()[0, :1])


def test_maps_are_zero_outside_of_the_mask_and_whole_samples_do_not_mix():
    net = moved(AdaptiveNdi(4), 0.1)
    phase, mask = scan()
    rho = torch.tensor([300.0, 20.0])
    with torch.no_grad():
        chi = GRID.run(net, phase, mask, rho)
        alone = GRID.run(net, phase[1:], mask[1:], rho[1:])
    assert not chi[mask == 0].any()
    assert torch.allclose(chi[1:], alone, atol=1e-5 * float(alone.abs().max()))


def test_weights_count_by_their_ratio_alone():
    net = AdaptiveNdi(3)
    phase, mask = scan(1)
    weight = mask * (0.5 + torch.rand(mask.shape, generator=torch.Generator().manual_seed(1)))
    rho = torch.tensor([100.0])
    with torch.no_grad():
        one, half = (GRID.run(net, phase, w, rho) for w in (weight, weight / 2))
        plain = GRID.run(net, phase, mask, rho)
    assert torch.allclose(one, half, atol=1e-5)
    assert (one - plain).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["adaptive", "noise"])
def test_above_the_trained_band_lambda_is_that_of_tikhonov(kind):
    net = AdaptiveNdi(2) if kind == "adaptive" else Ndi(2, form="noise", precondition=True)
    moved(net)
    d, k = torch.full((3,), 0.1), torch.tensor([0.1, 0.28, 0.5])
    rho = torch.tensor([40.0])
    free = net.preconditioner(d, k, rho).detach()
    net.reach_per_mm = 0.29
    p = net.preconditioner(d, k, rho).detach()
    assert torch.equal(p[0, :2], free[0, :2])
    assert np.isclose(float(p[0, 2]), 1 / (0.01 + suited_alpha(usable(40.0))), rtol=1e-4)
    assert abs(float(free[0, 2]) / float(p[0, 2]) - 1) > 0.01


def test_every_part_learns():
    net = AdaptiveNdi(3)
    phase, mask = scan()
    GRID.run(net, phase, mask, torch.tensor([300.0, 20.0])).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    knots = torch.tensor(RHO_DECADES)
    untouched = (knots < 1) | (knots > 3)
    assert not net.log_tau_RN.grad[untouched].any()  # no noise of other scans


def test_what_it_needs_is_named():
    net, (phase, mask) = AdaptiveNdi(1), scan()
    with pytest.raises(ValueError, match=r"expected \|k\| and rho"):
        net(phase, D, mask)
    with pytest.raises(ValueError, match="steps >= 1"):
        AdaptiveNdi(0)


def test_the_kernel_is_that_of_the_volume():
    """A kernel turned by 90 degrees makes a map that explains the phase worse."""
    random = torch.Generator().manual_seed(0)
    chi = torch.randn(1, *SIZES, generator=random)
    phase, mask = apply_kernel(chi.clone(), D), torch.ones(1, *SIZES)
    net, rho = AdaptiveNdi(8), torch.tensor([1000.0])
    wrong = Grid(SIZES, Geometry.aligned((1.0, 1.0, 1.0), (0.0, 0.0, 1.0)))
    with torch.no_grad():
        right, turned = GRID.run(net, phase, mask, rho), wrong.run(net, phase, mask, rho)
    kernel = dipole_kernel(SIZES, GRID.geometry)
    left = [(apply_kernel(x.clone(), kernel) - phase).norm() for x in (right, turned)]
    assert left[0] < 0.3 * left[1]
