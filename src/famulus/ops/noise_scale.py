"""How noisy a gradient is: the batch above which more examples a step are wasted.

B = tr(S) / |G|^2 with S the covariance of one example's gradient and G the true gradient. Far below
B, a batch four times as large is worth four steps; far above, it is worth one.
Source: McCandlish et al. 2018, arXiv 1812.06162, appendix A.1 (unbiased estimates from two sizes).
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def noise_scale(gradients: Sequence[tuple[Tensor, int]]) -> float:
    """B in examples, from gradients of small batches (vector, batch size) and of them all together.

    NaN if the estimate of |G|^2 is not positive: more examples are needed.
    Raises ValueError for fewer than two gradients.
    """
    if len(gradients) < 2:
        raise ValueError(f"expected at least two gradients, received {len(gradients)}")
    sizes = torch.tensor([size for _, size in gradients], dtype=torch.float64)
    whole = sum(g.double() * size for g, size in gradients) / sizes.sum()
    large, b_large = whole.square().sum(), sizes.sum()
    # E|g_b|^2 = |G|^2 + tr(S) / b: averaged over the small ones, 1/b is the mean of 1/size
    small = torch.stack([g.double().square().sum() for g, _ in gradients]).mean()
    inverse = (1 / sizes).mean()
    noise = (small - large) / (inverse - 1 / b_large)
    signal = (inverse * large - small / b_large) / (inverse - 1 / b_large)
    return float(noise / signal) if signal > 0 else float("nan")


def advice(scale: float, batch: int) -> str:
    """One sentence on a batch size, given the noise scale."""
    if not scale > 0:
        return "the gradient is all noise at this number of examples: measure with more"
    worth = (1 + scale / batch) / (1 + scale / (4 * batch))
    return (
        f"noise scale {scale:.3g}: a batch of {4 * batch} instead of {batch} is worth "
        f"{worth:.2g} steps and costs up to 4"
    )
