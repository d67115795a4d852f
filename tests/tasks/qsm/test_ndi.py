"""The learned net against its closed form, and what training in closed form promises."""

import math

import pytest
import torch

from famulus.tasks.qsm.descent import descend
from famulus.tasks.qsm.dipole import Geometry, apply_kernel, dipole_kernel, frequency
from famulus.tasks.qsm.ndi import KNOTS_PER_MM, RHO_0, Grid, Ndi, first_steps, referenced
from famulus.tasks.qsm.spectrum import Bins
from famulus.tasks.qsm.steps import amount

GEOMETRY, SHAPE = Geometry.aligned((1.0, 1.0, 1.0)), (16, 15, 12)
KINDS = [
    {"form": "free"},
    {"form": "free", "momentum": True},
    {"form": "total", "start": "random"},
    {"form": "noise", "momentum": True},
    {"form": "noise", "momentum": True, "precondition": True},
    {"form": "free", "precondition": True},
]


def pairs(batch=3, noise=0.1, seed=0):
    random = torch.Generator().manual_seed(seed)
    chi = torch.randn(batch, *SHAPE, generator=random, dtype=torch.float64)
    field = apply_kernel(chi, dipole_kernel(SHAPE, GEOMETRY).double())
    return field + noise * torch.randn(field.shape, generator=random, dtype=torch.float64), chi


def net(steps=5, **kind):
    torch.manual_seed(1)
    made = Ndi(steps, **kind).double()
    with torch.no_grad():
        for p in made.parameters():
            p += 0.1 * torch.randn_like(p)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_phase_meets_the_filter(kind):
    """chi of the volume = the filter at each place of k-space, for every kind of net."""
    field, _ = pairs()
    d, k = dipole_kernel(SHAPE, GEOMETRY).double(), frequency(SHAPE, GEOMETRY).double()
    rho = torch.tensor([8.0, 50.0, 300.0])
    made = net(**kind)
    chi = made(1e-6 * field, d, None, rho, k)
    f = made.filter(d.flatten(), rho, k.flatten()).reshape(-1, *d.shape)
    exact = torch.fft.irfftn(
        torch.fft.rfftn(1e-6 * field, dim=(1, 2, 3)) * f, s=SHAPE, dim=(1, 2, 3)
    )
    assert ((chi - exact).norm() / exact.norm()).item() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind):
    field, chi = pairs()
    d, k = dipole_kernel(SHAPE, GEOMETRY).double(), frequency(SHAPE, GEOMETRY).double()
    made = net(**kind)
    (made(field, d, None, torch.tensor([20.0, 50.0, 300.0]), k) - chi).square().sum().backward()
    for name, p in made.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().max() > 0, name


@pytest.mark.parametrize("start", ["equal", "random", "chebyshev"])
def test_first_steps(start):
    steps = first_steps(9, start, 4.0)
    assert steps.shape == (9,)
    assert (steps > 0).all()
    if start != "random":
        assert float(steps.mean()) == pytest.approx(4.0, rel=1e-4)
    if start == "chebyshev":  # better than equal ones with the same total at the worst d
        d2 = torch.linspace(0.2, 4 / 9, 200)
        worst = [
            float(torch.prod(1 - s[:, None] * d2, 0).abs().max()) for s in (steps, steps * 0 + 2)
        ]
        assert worst[0] < worst[1]


def closed_form(start_value=2.0, steps=60, epochs=120, start="equal"):
    field, chi = pairs(noise=0.15)
    bins = Bins.of(dipole_kernel(SHAPE, GEOMETRY), SHAPE[2])
    spectrum = bins.spectrum(field, chi).mean()
    torch.manual_seed(2)
    made = Ndi(steps, start=start, tau=start_value).double()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.03)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.03 * (1 - epoch / epochs)
        optimizer.zero_grad()
        loss = spectrum.loss(made.filter(spectrum.d_K)).mean()
        loss.backward()
        optimizer.step()
    return made, loss.item(), field, chi


def test_equal_steps_stay_equal_and_random_ones_buy_nothing():
    equal, loss, *_ = closed_form()
    tau = equal.tau_N.detach()
    assert float((tau.max() - tau.min()) / tau.mean()) < 1e-9
    scattered, other, *_ = closed_form(start="random")
    assert scattered.tau_N.std() > 0.01
    assert other == pytest.approx(loss, rel=0.01)
    assert amount(scattered.tau_N).total == pytest.approx(amount(tau).total, rel=0.05)


def test_volumes_learn_the_same_total():
    """Within 3 % of the closed form on the same data, trained through the volumes themselves."""
    made, _, field, chi = closed_form(steps=8)
    d = dipole_kernel(SHAPE, GEOMETRY).double()
    other = Ndi(8).double()
    optimizer = torch.optim.Adam(other.parameters(), lr=0.05)
    scale = 1e-3  # small phase
    for epoch in range(120):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - epoch / 120)
        optimizer.zero_grad()
        (other(scale * field, d) / scale - chi).square().mean().backward()
        optimizer.step()
    totals = [n.tau_N.sum().item() for n in (made, other)]
    assert totals[0] == pytest.approx(totals[1], rel=0.03)
    assert totals[0] != pytest.approx(16.0, rel=0.2)  # it has moved


def test_noise_needs_a_noise():
    with pytest.raises(ValueError, match="rho"):
        Ndi(3, form="noise").schedule()
    with pytest.raises(ValueError, match="received steps=0"):
        Ndi(0)


def test_more_noise_restores_less():
    made = Ndi(8, form="noise", momentum=True)
    tau, beta = made.schedule(torch.tensor([5.0, RHO_0, 500.0]))
    assert tau.shape == beta.shape == (3, 8)
    assert (tau[0] < tau[1]).all()
    assert (tau[1] < tau[2]).all()
    d, k = torch.full((1,), 0.1), torch.full((1,), 0.1)
    for other in (made, Ndi(8, form="noise", momentum=True, precondition=True)):
        f = other.filter(d, torch.tensor([5.0, 500.0]), k)[:, 0].tolist()
        assert 0 < f[0] < f[1] < 15


def test_untrained_steps_follow_the_root_of_the_noise_in_decades():
    """tau = tau_0 exp(s/2), s = log10(rho / 50): ten times the power is sqrt(e) of the step."""
    tau, beta = Ndi(4, form="noise", momentum=True, tau=2.0).schedule(
        torch.tensor([5.0, 50.0, 500.0, 5e4, 0.1])
    )
    root = math.exp(0.5)
    expected = torch.tensor([1 / root, 1, root, root, 1 / root])  # held within 5 .. 500
    assert torch.allclose(tau, 2 * expected[:, None].expand(5, 4), rtol=1e-5)
    assert (beta == 0.5).all()


def test_a_parabola_in_decades_of_the_noise():
    made = Ndi(3, form="noise", momentum=True).double()
    rows = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    made.log_tau_PN.data, made.momentum_PN.data = rows[0], rows[1]
    tau, beta = made.schedule(torch.tensor([200.0]).double())
    s = math.log10(200 / 50)
    parabola = rows[:, 0] + rows[:, 1] * s + rows[:, 2] * s**2
    assert torch.allclose(tau[0], parabola[0].exp(), rtol=1e-12)
    assert torch.allclose(beta[0], 1 / (1 + (-parabola[1]).exp()), rtol=1e-12)


def test_an_untrained_preconditioner_is_wieners_filter():
    """p = 1 / (d^2 + 1/rho) at every |k|: with one step of 1 it is d / (d^2 + 1/rho)."""
    d, k = torch.linspace(-0.6, 0.3, 7).double(), torch.linspace(0.0, 2.0, 7).double()
    for rho in (5.0, 20.0, 500.0):
        made = Ndi(1, form="noise", precondition=True, tau=9 / 4).double()
        p = made.preconditioner(d, k, torch.tensor([rho]).double())
        wiener = 1 / (d.square() + 1 / rho)
        assert torch.allclose(p[0], wiener, rtol=1e-6)
        f = made.filter(d, torch.tensor([rho]).double(), k)[0]
        assert torch.allclose(f, d * wiener, rtol=1e-6)
    fixed = Ndi(1, precondition=True).double().preconditioner(d, k)
    assert torch.allclose(fixed[0], 1 / (d.square() + 1 / 50), rtol=1e-6)


def test_lambda_runs_straight_between_its_knots_in_logarithms():
    """Half-way in ln |k| between two knots it is their geometric mean; beyond the ends it stays."""
    made = Ndi(1, precondition=True).double()
    logs = torch.randn(1, 15, generator=torch.Generator().manual_seed(0)).double()
    made.log_lambda_PJ.data = logs
    knots = torch.tensor(KNOTS_PER_MM).double()
    between = (knots[1:] * knots[:-1]).sqrt()
    zero = torch.zeros(1).double()
    for k, expected in (
        (knots, logs[0].exp()),
        (between, (logs[0, 1:] + logs[0, :-1]).div(2).exp()),
        (torch.tensor([0.0, 9.0]).double(), logs[0, [0, -1]].exp()),
    ):
        p = made.preconditioner(zero.expand(len(k)), k)[0]
        assert torch.allclose(1 / p, expected, rtol=1e-5)


def test_steps_that_follow_the_noise_see_weights_of_mean_square_one():
    """W over its root mean square where it is above 0: a unit of W says nothing."""
    field, _ = pairs(batch=2)
    d, rho = dipole_kernel(SHAPE, GEOMETRY).double(), torch.tensor([20.0, 90.0]).double()
    weight = 0.1 + torch.rand(field.shape, generator=torch.Generator().manual_seed(3)).double()
    weight[0] *= 7
    weight[:, :5] = 0
    made = net(form="noise", momentum=True)
    chi = made(field, d, weight, rho)
    tau, beta = made.schedule(rho)
    unit = torch.stack([w / math.sqrt(w[w > 0].square().mean()) for w in weight])
    assert torch.allclose(chi, descend(field, d, tau, beta, unit), rtol=1e-10, atol=1e-10)
    assert torch.allclose(chi, made(field, d, 0.3 * weight, rho), rtol=1e-10, atol=1e-10)
    for power in (0, 2):  # as it comes, and over the mean square itself
        rms = weight / unit.clamp(min=1e-9)
        other = descend(field, d, tau, beta, weight / rms.clamp(min=1e-9) ** power)
        assert (chi - other).abs().max() > 0.01
    plain = net(form="free")  # learned for the weights as they are
    bare = descend(field, d, plain.schedule()[0], None, weight)
    assert torch.allclose(plain(field, d, weight), bare, rtol=1e-10, atol=1e-10)


def test_grid_pads_only_to_fast_sizes():
    """11 x 13 x 17 is padded to 11 x 14 x 18 and cropped; longer counts go on from shorter ones."""
    grid = Grid((11, 13, 17), GEOMETRY)
    assert grid.sizes == (11, 14, 18)
    phase = torch.randn(1, 11, 13, 17, generator=torch.Generator().manual_seed(0)).double()
    after = grid.descend(phase, None, [2, 5], 1.5)
    wide = torch.zeros(1, 11, 14, 18).double()
    wide[:, :, :13, :17] = phase
    d = dipole_kernel((11, 14, 18), GEOMETRY)
    for chi, n in zip(after, (2, 5), strict=True):
        exact = descend(wide, d, torch.full((n,), 1.5))[:, :, :13, :17]
        assert torch.allclose(chi, exact, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(*after, atol=1e-2)  # of 2 steps and of 5


def test_referenced():
    chi = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    mask = torch.zeros_like(chi)
    mask[:, 1:3] = 1
    out = referenced(chi, mask)
    assert (out[mask == 0] == 0).all()
    assert out[0][mask[0] > 0].mean().abs() < 1e-14
    assert torch.allclose(referenced(chi + 5, mask), out, rtol=1e-12, atol=1e-12)
    whole = referenced(chi, torch.ones_like(chi))  # control: of the mean of everything
    assert whole[0][mask[0] > 0].mean().abs() > 1e-3
