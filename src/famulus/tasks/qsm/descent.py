"""Gradient steps of nonlinear dipole inversion in k-space: two real FFTs a step.

    chi_{k+1} = chi_k - tau_k P D W^2 sin(D chi_k - phase) + beta_k (chi_k - chi_{k-1})

(P > 0 a preconditioner that is diagonal in k-space, like D) is followed as Y = d X, X the spectrum
of chi: Y <- Y - tau p d^2 rfft[w^2 sin(irfft[Y] - phase)].
Going back, the adjoint obeys the same recursion with w^2 cos(r) in place of w^2 sin; what it needs
of the way there is computed again from a few kept states, so that memory grows like a root of N.

Shapes: B batch, Z Y X voxels, H = X//2+1, 2 real and imaginary part, N steps.
Units: phase and chi in rad (phase = D chi); weight, tau, beta and d have none.
Source: Polak et al. 2020, doi:10.1002/nbm.4271; checkpoints: Griewank 1992,
doi:10.1080/10556789208805505.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

_SPACE = (1, 2, 3)
# 200 steps of a volume of 160^3 would keep 3 GB
KEPT = 28  # volumes that training may keep at a time, about


@dataclass
class Problem:
    """What does not change from step to step."""

    phase: Tensor  # BZYX rad
    weight2: Tensor | None  # BZYX, w^2; None: 1 everywhere
    gain_pairs: Tensor  # 1ZH2 or BZH2: p d^2 twice, as a complex number lies in memory

    def residual(self, y: Tensor) -> Tensor:
        """r = irfft[Y] - phase: BZYX rad."""
        return _to_space(y, self.phase.shape[-3:]).sub_(self.phase)

    def weighted(self, values: Tensor) -> Tensor:
        """In place: times w^2."""
        return values if self.weight2 is None else values.mul_(self.weight2)


def _to_space(y: Tensor, sizes: Any) -> Tensor:
    return torch.fft.irfftn(torch.view_as_complex(y), s=tuple(sizes), dim=_SPACE)


def _to_spectrum(volume: Tensor) -> Tensor:
    return torch.view_as_real(torch.fft.rfftn(volume, dim=_SPACE))


def _add(y: Tensor, change: Tensor, gain_pairs: Tensor, step: float | Tensor) -> None:
    """y -= step * p d^2 * change, in place; `change` is used up."""
    if isinstance(step, Tensor):
        y.addcmul_(change.mul_(step), gain_pairs, value=-1)
    else:
        y.addcmul_(change, gain_pairs, value=-step)


State = tuple[Tensor, Tensor | None]  # Y, and the last change of Y where there is momentum


def _forward(
    problem: Problem, state: State, taus: list, betas: list | None, kept: State | None = None
) -> None:
    """`state` behind the given steps, in place; `kept` gets r and the last change before each."""
    y, v = state
    for k, tau in enumerate(taus):
        r = problem.residual(y)
        if kept is not None:
            kept[0][k].copy_(r)
            if v is not None:
                kept[1][k].copy_(v)
        # In place, now that r was kept: each volume less is one more step that can be kept.
        change = _to_spectrum(problem.weighted(r.sin_()))
        if v is None:
            _add(y, change, problem.gain_pairs, tau)
        else:
            v.mul_(betas[k])
            _add(v, change, problem.gain_pairs, tau)
            y.add_(v)


def _branches(steps: int, volumes: int) -> int:
    """Into how many parts a range is cut, so that about KEPT volumes are held at a time."""
    # fewer levels compute less again, more keep less
    for levels in range(1, 8):
        width = round(steps ** (1 / levels) + 0.499)
        if volumes * ((levels - 1) * (width - 1) + width) <= KEPT:
            return width
    return 2


class _Adjoint:
    """One walk back. `h` is p d times the spectrum of the adjoint of chi, `waiting` of the one
    before it (momentum reaches back two steps)."""

    def __init__(
        self,
        problem: Problem,
        taus: list,
        betas: list | None,
        h: Tensor,
        inner: Tensor,
        for_p: bool,
    ) -> None:
        self.problem, self.taus, self.betas = problem, taus, betas
        self.h, self.waiting = h, torch.zeros_like(h) if betas else None
        self.inner = inner  # 1ZH or BZH: 1 or 2 over p d^2 and the number of voxels; 0 where d = 0
        self.grad_p = (
            torch.zeros_like(inner) if for_p else None
        )  # times p, without Parseval's factor
        # One tensor each: a small one left behind between large ones tears holes into the heap.
        self.grad_tau_NB = h.new_zeros((len(taus), len(h)))
        self.grad_beta_NB = h.new_zeros((len(taus), len(h)))
        self.width = _branches(len(taus), 2 if betas else 1)
        self.rooms: dict[int | str, State] = {}

    def walk(self, low: int, high: int, state: State, level: int = 0) -> None:
        """Steps low..high-1 backwards; `state` is the one before `low` and is used up."""
        betas, width = self.betas, self.width
        if high - low <= width:
            part = betas[low:high] if betas else None
            r, v = self._room("leaf", (self.problem.phase, state[1]), min(width, len(self.taus)))
            _forward(self.problem, state, self.taus[low:high], part, (r, v))
            for k in range(high - 1, low - 1, -1):
                self.step(k, r[k - low], None if v is None else v[k - low])
            return
        piece = width
        while piece * width < high - low:
            piece *= width
        starts = list(range(low, high, piece))
        rooms = self._room(level, state, width - 1)
        before = [tuple(None if t is None else t[i] for t in rooms) for i in range(len(starts) - 1)]
        for (a, b), room in zip(pairwise(starts), before, strict=True):
            for to, of in zip(room, state, strict=True):
                if to is not None:
                    to.copy_(of)
            _forward(self.problem, state, self.taus[a:b], betas[a:b] if betas else None)
        for a, b, start in reversed(
            list(zip(starts, [*starts[1:], high], [*before, state], strict=True))
        ):
            self.walk(a, b, start, level + 1)

    def _room(self, name: int | str, like: tuple[Tensor | None, ...], count: int) -> State:
        """`count` places of the shapes of `like`, made once: a heap that many tensors of two sizes
        come from and go back to would grow to several times of what is held."""
        if name not in self.rooms:
            rooms = (None if t is None else t.new_empty((count, *t.shape)) for t in like)
            self.rooms[name] = tuple(rooms)
        return self.rooms[name]

    def step(self, k: int, r: Tensor, v: Tensor | None) -> None:
        problem, tau = self.problem, self.taus[k]
        u = _to_space(self.h, r.shape[-3:])
        sine = problem.weighted(r.sin())
        if self.grad_p is not None:
            product = _to_spectrum(sine).mul_(self.h).sum(-1)
            product *= tau[..., 0] if isinstance(tau, Tensor) else tau
            self.grad_p -= product.sum(0, keepdim=True) if len(self.grad_p) == 1 else product
        self.grad_tau_NB[k] -= sine.mul_(u).flatten(1).sum(1)
        del sine
        change = _to_spectrum(problem.weighted(r.cos_().mul_(u)))
        del u
        if v is None:
            _add(self.h, change, problem.gain_pairs, tau)
            return
        product = v.mul_(self.h).sum(-1).mul_(self.inner)
        self.grad_beta_NB[k] += product.flatten(1).sum(1)
        beta = self.betas[k]
        ahead = self.waiting.addcmul_(self.h, torch.as_tensor(1 + beta, device=self.h.device))
        self.waiting = self.h.mul_(-beta)
        self.h = ahead
        _add(self.h, change, problem.gain_pairs, tau)


class _Descent(torch.autograd.Function):
    """chi BZYX from (phase, weight2, d, p, tau, beta, start); gradients for the last four."""

    @staticmethod
    def forward(ctx, phase, weight2, d_ZH, p_BZH, tau, beta, start):
        problem = Problem(phase, weight2, _gain_pairs(d_ZH, p_BZH))
        taus, betas = _rows(tau), _rows(beta)
        ctx.save_for_backward(phase, weight2, d_ZH, p_BZH, tau, beta, start)
        state = _begin(phase, d_ZH, start, betas)
        _forward(problem, state, taus, betas)
        return _leave(state[0], d_ZH, phase, start)

    @staticmethod
    def backward(ctx, grad):
        phase, weight2, d_ZH, p_BZH, tau, beta, start = ctx.saved_tensors
        problem = Problem(phase, weight2, _gain_pairs(d_ZH, p_BZH))
        taus, betas = _rows(tau), _rows(beta)
        spectrum = _to_spectrum(grad.contiguous())
        scale = d_ZH[None] if p_BZH is None else d_ZH * p_BZH
        h = spectrum * scale[..., None]
        if start is None:
            del spectrum  # a volume that nothing needs any more
        # Where d = 0 no step moves the map, and no gradient comes back.
        twice, zero = _parseval(phase), d_ZH == 0
        inner = torch.where(zero, 0.0, twice / torch.where(zero, 1.0, scale * d_ZH))
        walk = _Adjoint(problem, taus, betas, h, inner, ctx.needs_input_grad[3])
        walk.walk(0, len(taus), _begin(phase, d_ZH, start, betas))
        grad_p = grad_start = None
        if walk.grad_p is not None:  # the change of X is p d F, and h = p d g
            grad_p = walk.grad_p * twice / p_BZH
        if start is not None:
            if betas:  # the map before the first is the first
                walk.h.add_(walk.waiting)
            back = walk.h / torch.where(zero, 1.0, scale)[..., None]
            back = torch.where(zero[..., None], spectrum, back)
            grad_start = _to_space(back, phase.shape[-3:])
        grad_tau = walk.grad_tau_NB.T.sum_to_size(tau.shape)
        grad_beta = walk.grad_beta_NB.T.sum_to_size(beta.shape) if betas else None
        return None, None, None, grad_p, grad_tau, grad_beta, grad_start


def _gain_pairs(d_ZH: Tensor, p_BZH: Tensor | None) -> Tensor:
    gain = d_ZH.square()[None] if p_BZH is None else d_ZH.square() * p_BZH
    return gain[..., None].repeat(1, 1, 1, 1, 2)


def _rows(values: Tensor | None) -> list | None:
    """Step by step: plain numbers where all samples share them on a CPU, else B111-1 tensors."""
    if values is None:
        return None
    # On a GPU reading the numbers would wait for the device.
    if len(values) == 1 and values.device.type == "cpu":
        return values[0].tolist()
    return [column.reshape(-1, 1, 1, 1, 1) for column in values.unbind(1)]


def _begin(phase: Tensor, d_ZH: Tensor, start: Tensor | None, betas: list | None) -> State:
    if start is None:
        y = phase.new_zeros((len(phase), *d_ZH.shape, 2))
    else:
        # steps run on d X: one product less in each
        y = _to_spectrum(start) * d_ZH[..., None]
    return y, torch.zeros_like(y) if betas else None


def _leave(y: Tensor, d_ZH: Tensor, phase: Tensor, start: Tensor | None) -> Tensor:
    """chi = irfft[Y / d]; where d = 0 no step has moved it."""
    zero = (d_ZH == 0)[..., None]
    # where d = 0 there is nothing to divide, and Y is 0
    x = y.div_(torch.where(zero, 1.0, d_ZH[..., None]))
    if start is not None:
        x = torch.where(zero, _to_spectrum(start), x)
    return _to_space(x, phase.shape[-3:])


def _parseval(phase: Tensor) -> Tensor:
    """H: what a half spectrum's product counts for in a sum over space."""
    columns, voxels = phase.shape[-1], phase[0].numel()
    twice = torch.full((columns // 2 + 1,), 2.0 / voxels, device=phase.device, dtype=phase.dtype)
    # k = 0 along X is its own mirror image too
    twice[0] = 1.0 / voxels
    # the column at Nyquist, of even sizes, is its own mirror image
    if columns % 2 == 0:
        twice[-1] = 1.0 / voxels
    return twice


def descend(
    phase_BZYX_rad: Tensor,
    d_ZH: Tensor,
    tau: Tensor,
    beta: Tensor | None = None,
    weight_BZYX: Tensor | None = None,
    start_BZYX_rad: Tensor | None = None,
    precondition: Tensor | None = None,
) -> Tensor:
    """chi_BZYX in rad after N steps; tau and beta are N, or BN for steps of each sample's own.

    `d_ZH` is `dipole_kernel` of the volume's own sizes: nothing is padded here. The preconditioner
    p > 0 is ZH or BZH. Differentiable in tau, beta, start and p, not in phase and weight.
    """
    if phase_BZYX_rad.ndim != 4 or d_ZH.shape[:2] != phase_BZYX_rad.shape[1:3]:
        raise ValueError(
            f"expected a phase BZYX and a kernel of its Z and Y, received "
            f"{tuple(phase_BZYX_rad.shape)} and {tuple(d_ZH.shape)}"
        )
    if phase_BZYX_rad.requires_grad or (weight_BZYX is not None and weight_BZYX.requires_grad):
        raise ValueError("expected phase and weight that need no gradient: none is computed")
    tau = tau if tau.ndim == 2 else tau[None]
    beta = beta if beta is None or beta.ndim == 2 else beta[None]
    if tau.shape[0] not in (1, len(phase_BZYX_rad)) or (
        beta is not None and beta.shape != tau.shape
    ):
        raise ValueError(f"expected steps N or BN and as many betas, received {tuple(tau.shape)}")
    weight2 = None if weight_BZYX is None else weight_BZYX.square()
    p = (
        precondition
        if precondition is None or precondition.ndim > d_ZH.ndim
        else precondition[None]
    )
    phase = phase_BZYX_rad.contiguous()
    return _Descent.apply(phase, weight2, d_ZH, p, tau, beta, start_BZYX_rad)
