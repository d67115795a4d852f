"""Reconstruction losses over the pixels that are real.

Shapes: x, y BC..., mask B1... (1 = real, 0 = padding) or None. Everything is a mean
over real pixels and channels, so that a third of constant padding cannot halve a figure.
"""

from torch import Tensor
from torch.nn import functional as F

POINTWISE = {
    "mse": lambda x, y: (x - y).square(),
    "l1": lambda x, y: (x - y).abs(),
    # a likelihood only for targets of 0 and 1; unbounded below for targets outside 0..1
    "bce": lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
}


def masked_mean(value: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of `value` (BC...) over real pixels of the whole batch; 0 where none is real."""
    if mask is None:
        return value.mean()
    weight = mask.to(value.dtype)
    # over the whole batch: a picture with little padding counts for more pixels
    return (value * weight).sum() / (weight.sum() * value.shape[1]).clamp(min=1)


def masked_sums(value: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sum of `value` and number of real entries, one entry a picture: shapes B and B."""
    if mask is None:
        count = value.new_full((value.shape[0],), value[0].numel())
        return value.flatten(1).sum(1), count
    weight = mask.to(value.dtype).expand_as(value)
    return (value * weight).flatten(1).sum(1), weight.flatten(1).sum(1)


def gaussian_kl(mu_BD: Tensor, logvar_BD: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)) in nats, summed over D: shape B."""
    return 0.5 * (mu_BD.square() + logvar_BD.exp() - 1 - logvar_BD).sum(1)
