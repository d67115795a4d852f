"""What a series of gradient steps amounts to: a filter over d, a total, one sentence.

Shapes: K values of d, N steps; further axes in front. Units: none (steps tau, alpha, d).
Source: early stop as a filter: Landweber 1951, doi:10.2307/2372313; NDI: Polak et al. 2020,
doi:10.1002/nbm.4271 (its step 1 is tau = 2 here, as in FANSI).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def residual_polynomial(x_K: Tensor, tau_N: Tensor, beta_N: Tensor | None = None) -> Tensor:
    """r_N of r_{k+1} = (1 - tau_k x + beta_k) r_k - beta_k r_{k-1}, r_{-1} = r_0 = 1; K.

    x is d^2, or p d^2 of a preconditioned step. Without momentum: prod(1 - tau_k x).
    Leading axes (one set of steps a sample, one x a sample) broadcast.
    """
    if beta_N is None and x_K.ndim == 1 and not x_K.requires_grad:
        rows = [_Product.apply(x_K, tau) for tau in tau_N.reshape(-1, tau_N.shape[-1])]
        return torch.stack(rows).reshape(*tau_N.shape[:-1], len(x_K))
    shape = torch.broadcast_shapes((*tau_N.shape[:-1], 1), x_K.shape)
    before = now = torch.ones(shape, dtype=x_K.dtype, device=x_K.device)
    for k in range(tau_N.shape[-1]):
        ahead = (1 - tau_N[..., k, None] * x_K) * now
        if beta_N is not None:
            ahead = ahead + beta_N[..., k, None] * (now - before)
        before, now = now, ahead
    return now


class _Product(torch.autograd.Function):
    """prod(1 - tau_k x), K: in few operations, where 200 steps one by one are 2,000 small ones."""

    @staticmethod
    def forward(ctx, x_K: Tensor, tau_N: Tensor) -> Tensor:
        factors_KN = torch.addcmul(x_K.new_ones(()), x_K[:, None], tau_N, value=-1)
        product_K = factors_KN.prod(1)
        ctx.save_for_backward(x_K, factors_KN, product_K)
        return product_K

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_K: Tensor):
        x_K, factors_KN, product_K = ctx.saved_tensors
        others_KN = product_K[:, None] / factors_KN  # the product without the factor
        zero = product_K == 0  # one factor may be
        if zero.any():
            rows = factors_KN[zero]
            ones = torch.ones_like(rows[:, :1])
            ahead = torch.cat([ones, rows[:, :-1].cumprod(1)], 1)
            behind = torch.cat([ones, rows.flip(1)[:, :-1].cumprod(1)], 1).flip(1)
            others_KN[zero] = ahead * behind
        return None, -(grad_K * x_K) @ others_KN


def step_filter(
    d_K: Tensor, tau_N: Tensor, beta_N: Tensor | None = None, p_K: Tensor | float = 1.0
) -> Tensor:
    """f(d) = (1 - r_N(p d^2)) / d and f(0) = 0: chi = f phi after N steps, W = 1, small phase."""
    gone = 1 - residual_polynomial(p_K * d_K.square(), tau_N, beta_N)
    # both branches are computed: a division by 0 would put NaN into the gradient
    return torch.where(d_K == 0, 0.0, gone / torch.where(d_K == 0, 1.0, d_K))


@dataclass(frozen=True)
class Amount:
    """What a set of steps amounts to."""

    total: float  # sum of the steps; with momentum or preconditioner (1 - r)/d^2 near d = 0
    half_power: float  # |d| where half of chi is restored
    tikhonov_alpha: float  # alpha that restores half at the same |d|
    spread: float  # standard deviation of the steps over their mean
    negative: int  # steps below 0
    growth: float  # largest |r_N|: above 1 something grows
    sentence: str


def amount(
    tau_N: Tensor, beta_N: Tensor | None = None, p: Callable[[Tensor], Tensor] | None = None
) -> Amount:
    """Judged over |d| up to 2/3, with W = 1; float64. `p`: a preconditioner over d, at one |k|."""
    tau = tau_N.detach().double().cpu()
    beta = None if beta_N is None else beta_N.detach().double().cpu()
    d = torch.linspace(0, 2 / 3, 20001, dtype=torch.float64)
    x = d.square() if p is None else d.square() * p(d)
    r = residual_polynomial(x, tau, beta)
    gone = 1 - r
    plain = beta is None and p is None
    # Near d = 0, but not so near that 1 - r has no digits left.
    total = float(tau.sum()) if plain else float(gone[20] / d[20].square())
    above = (gone >= 0.5).nonzero()
    half = float(d[above[0, 0]]) if len(above) else math.inf
    spread = float(tau.std(unbiased=False) / tau.mean().abs().clamp(min=1e-300))
    n, negative = len(tau), int((tau < 0).sum())
    count = f"{n} step" if n == 1 else f"{n} steps"
    if plain and spread < 0.01:
        is_are = "is" if n == 1 else "are"
        what = f"{count} of {float(tau.mean()):.3g} {is_are} one early stop at total {total:.1f}"
    else:
        more = " with momentum" if beta is not None else ""
        more += " under a preconditioner" if p is not None else ""
        what = f"{count} of {float(tau.min()):.3g} to {float(tau.max()):.3g}{more} "
        what += f"act like one early stop at total {total:.1f}"
    sentence = f"{what}: half of chi is restored at |d| = {half:.3f}, as by Tikhonov's filter with "
    sentence += f"alpha = {half**2:.4f}."
    if negative:
        sentence += f" {negative} of them {'is' if negative == 1 else 'are'} negative."
    growth = float(r.abs().max())
    if not growth <= 1 + 1e-9:
        sentence += f" Unstable: some frequency grows {growth:.3g} times."
    return Amount(total, half, half**2, spread, negative, growth, sentence)
