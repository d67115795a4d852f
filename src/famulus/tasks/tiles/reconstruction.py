"""How far a reconstruction is from its target.

Shapes: B batch, P everything of one sample (channels and pixels). `raw` is what the decoder gives:
a grey value, or a logit for `bce`. Targets are in 0..1.
Units: `l1` and `l2` are means per pixel in grey ranges (and their square); `bce`, `laplace` and
`gaussian` are nats per pixel, so that nats/pixel + KL/pixels is the negative ELBO per pixel.
Source: Rybkin et al. 2021, arXiv 2006.13202 (one optimal scale, "sigma-VAE").

Mean L1 + w * KL is the ELBO of Laplace noise with scale b = w * pixels up to a constant: w = 1 at
28 x 28 states b = 784 grey ranges, hence collapse. Prefer `laplace` with a stated or optimal scale.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from famulus.tasks.tiles.histogram import HistogramLoss

NAMES = ("l1", "l2", "bce", "laplace", "gaussian")
LIKELIHOODS = ("bce", "laplace", "gaussian")  # nats per pixel: kl_weight 1 is the ELBO
MIN_SCALE = 1 / 512  # half an 8-bit grey level: a narrower density only rewards rounding
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def per_sample(name: str, raw: Tensor, target: Tensor) -> Tensor:
    """The error that decides `name`, averaged over each sample's pixels: B.

    |difference| for l1 and laplace, its square for l2 and gaussian, cross-entropy with logits in
    nats for bce. Raises ValueError if the shapes differ or the name is unknown.
    """
    _check(name, raw, target)
    # under autocast `raw` is half precision: its rounding would be a part of the error
    raw, target = raw.float(), target.float()
    if name in ("l1", "laplace"):
        error = (raw - target).abs()
    elif name in ("l2", "gaussian"):
        error = (raw - target).square()
    else:
        error = functional.binary_cross_entropy_with_logits(raw, target, reduction="none")
    return error.flatten(1).mean(1)


def batch_mean(name: str, raw: Tensor, target: Tensor) -> Tensor:
    """`per_sample(...).mean()` in one fused pass: scalar."""
    _check(name, raw, target)
    raw, target = raw.float(), target.float()
    if name in ("l1", "laplace"):
        return functional.l1_loss(raw, target)
    if name in ("l2", "gaussian"):
        return functional.mse_loss(raw, target)
    return functional.binary_cross_entropy_with_logits(raw, target)


def optimal_scale(name: str, mean_error: Tensor) -> Tensor:
    """The scale that makes the data likeliest: b = mean |d|, or sigma = sqrt(mean d^2)."""
    scale = mean_error if name == "laplace" else mean_error.sqrt()
    # without a floor a perfect picture has density infinity, and the loss no lower bound
    return scale.clamp(min=MIN_SCALE)


def negative_log_likelihood(name: str, mean_error: Tensor, scale: Tensor | float) -> Tensor:
    """Nats per pixel from the mean error: laplace e/b + ln 2b; gaussian e/(2 s^2) + ln s + .919.

    Other names are returned unchanged. Linear in the error: the mean over samples goes straight in.
    """
    if name not in ("laplace", "gaussian"):
        return mean_error
    log_scale = scale.log() if isinstance(scale, Tensor) else math.log(scale)
    if name == "laplace":
        return mean_error / scale + log_scale + math.log(2)
    return 0.5 * mean_error / scale**2 + log_scale + HALF_LOG_2PI


def to_image(name: str, raw: Tensor) -> Tensor:
    """Grey values in the target's range from what the decoder gives: sigmoid for bce."""
    return torch.sigmoid(raw.float()) if name == "bce" else raw.float()


@dataclass(frozen=True)
class Term:
    """The reconstruction part of a loss: an error of each sample, and how it becomes `recon`.

    `name` is one of `NAMES`, or `histogram` with the loss that compares two. `scale` is b or sigma
    of laplace and gaussian: a number, `optimal` (for the error at hand) or `learned`.
    """

    name: str
    scale: str | float = "optimal"
    histogram: HistogramLoss | None = None

    @property
    def scaled(self) -> bool:
        return self.name in ("laplace", "gaussian")

    @property
    def unit(self) -> str:
        """What a value of `recon` is, in a few words."""
        if self.histogram is not None:
            h = self.histogram
            what = "shares" if h.norm else "pixels a bin"
            return f"{h.kind} of {h.bins} bins, sigma {h.sigma:g}, {what}"
        plain = {"l1": "mean L1", "l2": "mean L2"}.get(self.name)
        return plain or f"{self.name}, nats per pixel"

    @property
    def likelihood(self) -> bool:
        """In nats per pixel, so that a KL per pixel beside it makes the ELBO."""
        return self.name in LIKELIHOODS

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        """The mean error of each sample: B."""
        if self.histogram is not None:
            return self.histogram.per_sample(raw, target)
        return per_sample(self.name, raw, target)

    def batch_mean(self, raw: Tensor, target: Tensor) -> Tensor:
        if self.histogram is not None:
            return self.histogram(raw, target)
        return batch_mean(self.name, raw, target)

    def value(self, error: Tensor, log_scale: Tensor | None = None) -> Tensor:
        """`recon` from the mean error; an optimal scale is that of `error`."""
        if not self.scaled:
            return error
        if self.scale == "learned":
            scale: Tensor | float = log_scale.exp()
        elif self.scale == "optimal":  # at the optimum its own gradient is 0: detached
            scale = optimal_scale(self.name, error.detach())
        else:
            scale = float(self.scale)
        return negative_log_likelihood(self.name, error, scale)

    def of_constant(self, error: float) -> float:
        """`recon` of something that learned nothing; a learned scale is judged at its best."""
        mean = torch.tensor(error, dtype=torch.float64)
        best = optimal_scale(self.name, mean).log() if self.scale == "learned" else None
        return float(self.value(mean, best))

    def to_image(self, raw: Tensor) -> Tensor:
        return to_image(self.name, raw)


def _check(name: str, raw: Tensor, target: Tensor) -> None:
    # unequal shapes would broadcast, and train towards the wrong targets
    if raw.shape != target.shape:
        raise ValueError(
            f"expected a reconstruction of shape {tuple(target.shape)}, received {tuple(raw.shape)}"
        )
    if name not in NAMES:
        raise ValueError(f"expected one of {', '.join(NAMES)}, received {name!r}")
