"""Against steps written out with complex transforms in float64, autograd, and the closed form.

Shapes: B batch, Z Y X. Units: rad.
"""

import math

import pytest
import torch

from famulus.tasks.qsm import descent
from famulus.tasks.qsm.descent import descend
from famulus.tasks.qsm.dipole import Geometry, dipole_kernel, full_kernel
from famulus.tasks.qsm.steps import step_filter

OBLIQUE = Geometry(((0.0, -0.5, 0.9), (0.0, 0.9, 0.5), (1.0, 0.0, 0.0)))


def plain(phase, kernel_ZYX, tau, beta=None, weight=None, start=None, p_ZYX=1.0):
    """The definition, one sample: four complex transforms a step, differentiable."""

    def field(x):
        return torch.fft.ifftn(kernel_ZYX * torch.fft.fftn(x)).real

    w2 = 1.0 if weight is None else weight**2
    before = now = torch.zeros_like(phase) if start is None else start
    for k in range(len(tau)):
        pull = torch.fft.fftn(w2 * torch.sin(field(now) - phase))
        ahead = now - tau[k] * torch.fft.ifftn(p_ZYX * kernel_ZYX * pull).real
        if beta is not None:
            ahead = ahead + beta[k] * (now - before)
        before, now = now, ahead
    return now


def case(shape, batch=2, steps=6, seed=0):
    random = torch.Generator().manual_seed(seed)

    def draw(*sizes):
        return torch.rand(*sizes, generator=random, dtype=torch.float64)

    d = dipole_kernel(shape, OBLIQUE).double()
    phase = 4 * draw(batch, *shape) - 2
    weight = draw(batch, *shape)
    return phase, d, 0.3 + 2 * draw(batch, steps), 0.5 * draw(batch, steps), weight


@pytest.mark.parametrize("shape", [(8, 6, 10), (7, 9, 5), (6, 7, 8)])
@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_definition(shape, momentum, weighted):
    phase, d, tau, beta, weight = case(shape)
    full = full_kernel(d, shape[2])
    got = descend(phase, d, tau, beta if momentum else None, weight if weighted else None)
    for b in range(2):
        exact = plain(
            phase[b], full, tau[b], beta[b] if momentum else None, weight[b] if weighted else None
        )
        assert torch.allclose(got[b], exact, atol=1e-11)


def test_weights_matter():
    phase, d, tau, _, weight = case((8, 6, 10))
    assert (descend(phase, d, tau) - descend(phase, d, tau, None, weight)).abs().max() > 0.1


def test_a_conjugated_sign_is_seen():
    phase, d, tau, _, _ = case((8, 6, 10))
    wrong = plain(-phase[0], full_kernel(d, 10), tau[0])
    assert (descend(phase, d, tau)[0] - wrong).abs().max() > 0.1


@pytest.mark.parametrize("kept", [28, 6, 2])
@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_gradients(monkeypatch, kept, momentum, started):
    """Those of autograd through the definition, however little of the way is kept."""
    monkeypatch.setattr(descent, "KEPT", kept)
    phase, d, tau, beta, weight = case((6, 5, 8), steps=11)
    full = full_kernel(d, 8)
    start = 0.3 * phase
    target = torch.randn(phase.shape, generator=torch.Generator().manual_seed(9)).double()
    ours = [t.clone().requires_grad_() for t in (tau, beta, start)]
    theirs = [t.clone().requires_grad_() for t in (tau, beta, start)]
    got = descend(
        phase, d, ours[0], ours[1] if momentum else None, weight, ours[2] if started else None
    )
    (got * target).sum().backward()
    for b in range(2):
        t, m, s = (v[b] for v in theirs)
        exact = plain(phase[b], full, t, m if momentum else None, weight[b], s if started else None)
        (exact * target[b]).sum().backward(retain_graph=True)
    used = [True, momentum, started]
    for mine, other, is_used in zip(ours, theirs, used, strict=True):
        if is_used:
            assert torch.allclose(mine.grad, other.grad, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_preconditioner_and_its_gradient(momentum, shared):
    phase, d, tau, beta, weight = case((6, 5, 8), steps=7)
    if shared:
        tau, beta = tau[:1], beta[:1]
    betas = beta if momentum else None
    p = (1 + d.abs()).requires_grad_()  # even in k, as d is
    got = descend(phase, d, tau, betas, weight, None, p)
    target = torch.randn(phase.shape, generator=torch.Generator().manual_seed(9)).double()
    (got * target).sum().backward()
    other = p.detach().clone().requires_grad_()
    full_p = full_kernel(other, 8)
    rows = range(2) if not shared else [0, 0]
    exact = torch.stack(
        [
            plain(
                phase[i],
                full_kernel(d, 8),
                tau[b],
                betas[b] if momentum else None,
                weight[i],
                None,
                full_p,
            )
            for i, b in enumerate(rows)
        ]
    )
    assert torch.allclose(got, exact, atol=1e-11)
    (exact * target).sum().backward()
    # A place of the half spectrum stands for two of the whole, of which `other` fills both.
    mask = d != 0
    inner = p.grad[:, :, 1:-1], other.grad[:, :, 1:-1], mask[:, :, 1:-1]
    assert torch.allclose(inner[0][inner[2]], inner[1][inner[2]], atol=1e-9)
    slope = torch.randn(d.shape, generator=torch.Generator().manual_seed(3)).double()
    slope = (slope + _mirror(slope)) / 2  # a change that keeps p even
    assert float((p.grad * slope).sum()) == pytest.approx(float((other.grad * slope).sum()))


def test_a_preconditioner_for_each_sample():
    phase, d, tau, beta, weight = case((6, 5, 8), steps=7)
    p = torch.stack([1 + d.abs(), 1 / (d**2 + 0.1)]).requires_grad_()
    (descend(phase, d, tau, beta, weight, None, p) ** 2).sum().backward()
    for b in range(2):
        own = p.detach()[b].clone().requires_grad_()
        part = slice(b, b + 1)
        (
            descend(phase[part], d, tau[part], beta[part], weight[part], None, own) ** 2
        ).sum().backward()
        assert torch.allclose(p.grad[b], own.grad)


def _mirror(half_ZH):
    """The even part's partner, on the planes where the half spectrum holds both."""
    out = half_ZH.clone()
    for column in (0, half_ZH.shape[-1] - 1):
        out[..., column] = half_ZH[..., column].flip((0, 1)).roll((1, 1), (0, 1))
    return out


def test_shared_steps_gather_the_gradient_of_all_samples():
    phase, d, tau, beta, _ = case((6, 5, 8))
    own = tau[:1].expand(2, -1).clone().requires_grad_()
    shared = tau[0].clone().requires_grad_()
    (descend(phase, d, own, beta[:1].expand(2, -1)) ** 2).sum().backward()
    (descend(phase, d, shared, beta[0]) ** 2).sum().backward()
    assert torch.allclose(shared.grad, own.grad.sum(0))


@pytest.mark.parametrize("n", [3, 200])
def test_plane_wave_amplitude(n):
    """1 - prod(1 - tau d^2) of the wave comes back, where sin is a line."""
    shape, k = (24, 24, 24), (3, 2, 0)
    d_wave = 1 / 3 - 9 / 13
    z, y, _ = torch.meshgrid(*3 * [torch.arange(24, dtype=torch.float64)], indexing="ij")
    wave = torch.cos(2 * math.pi * (k[0] * z + k[1] * y) / 24)
    tau = torch.linspace(0.1, 3.9, n, dtype=torch.float64)
    kernel = dipole_kernel(shape, Geometry.aligned((1.0, 1.0, 1.0))).double()
    chi = descend(1e-4 * d_wave * wave[None], kernel, tau)[0] / 1e-4
    amplitude = float((chi * wave).sum() / (wave * wave).sum())
    assert amplitude == pytest.approx(1 - float(torch.prod(1 - tau * d_wave**2)), abs=1e-5)


@pytest.mark.parametrize("momentum", [False, True])
def test_closed_form(momentum):
    """For a small phase and W = 1, N steps are one filter over d."""
    phase, d, tau, beta, _ = case((9, 8, 7), batch=1)
    b = beta[0] if momentum else None
    got = descend(1e-5 * phase, d, tau[0], b)
    f = step_filter(d.flatten(), tau[0], b).reshape(d.shape)
    exact = torch.fft.irfftn(torch.fft.rfftn(1e-5 * phase[0]) * f, s=(9, 8, 7))
    assert torch.allclose(got[0], exact, atol=1e-13)


def test_a_wrap_pulls_nothing():
    """Phase and phase + 2 pi are one measurement."""
    phase, d, tau, _, _ = case((8, 6, 10))
    turned = phase + 2 * math.pi * (phase > 0.5).double()
    assert torch.allclose(descend(phase, d, tau), descend(turned, d, tau))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: (a[0][0], *a[1:3]), "phase BZYX"),
        (lambda a: (a[0], a[1][:-1], a[2]), "kernel"),
        (lambda a: (a[0].requires_grad_(), a[1], a[2]), "no gradient"),
        (lambda a: (a[0], a[1], a[2][[0, 0, 0]]), "steps N or BN"),
    ],
)
def test_what_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        descend(*change(case((6, 6, 6))))
