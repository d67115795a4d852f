"""How noisy a gradient is: the batch above which more examples a step are wasted.

B = tr(S) / |G|^2 with S the covariance of one example's gradient and G the true gradient. Far below
B, a batch four times as large is worth four steps; far above, it is worth one.
Source: McCandlish et al. 2018, arXiv 1812.06162, appendix A.1 (unbiased estimates from two sizes).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class NoiseScale:
    """The estimate from gradients given one by one: memory for one of them, whatever their number.

    Sums in float64 over small batches g of b examples.
    """

    whole: Tensor | None = None  # of b g
    square: float = 0.0  # of |g|^2
    examples: int = 0  # of b
    inverse: float = 0.0  # of 1 / b
    count: int = 0

    def add(self, gradient: Tensor, size: int) -> None:
        """One more mean gradient, a vector, over `size` examples."""
        g = gradient.detach().double()
        if self.whole is None:
            self.whole = torch.zeros_like(g)
        # weighted: the last batch may be smaller
        self.whole += size * g
        self.square += float(g.square().sum())
        self.examples, self.inverse = self.examples + size, self.inverse + 1 / size
        self.count += 1

    @property
    def value(self) -> float:
        """B in examples; NaN if the estimate of |G|^2 is not positive: more examples are needed.

        Raises ValueError for fewer than two gradients.
        """
        if self.whole is None or self.count < 2:
            raise ValueError(f"expected at least two gradients, received {self.count}")
        large, b_large = float((self.whole / self.examples).square().sum()), self.examples
        # E|g_b|^2 = |G|^2 + tr(S) / b: averaged over the small ones, 1/b is the mean of 1/size
        small, inverse = self.square / self.count, self.inverse / self.count
        noise = (small - large) / (inverse - 1 / b_large)
        signal = (inverse * large - small / b_large) / (inverse - 1 / b_large)
        # an unbiased estimate of a small |G|^2 may come out negative
        return noise / signal if signal > 0 else float("nan")


def noise_scale(gradients: Iterable[tuple[Tensor, int]]) -> float:
    """B in examples, from gradients of small batches (vector, batch size): `NoiseScale`."""
    sums = NoiseScale()
    for gradient, size in gradients:
        sums.add(gradient, size)
    return sums.value


def advice(scale: float, batch: int) -> str:
    """One sentence on a batch size, given the noise scale."""
    if not scale > 0:
        return "the gradient is all noise at this number of examples: measure with more"
    worth = f"{(1 + scale / batch) / (1 + scale / (4 * batch)):.2g}"
    steps = "step" if worth == "1" else "steps"
    return (
        f"noise scale {scale:.3g}: a batch of {4 * batch} instead of {batch} is worth "
        f"{worth} {steps} of {batch} and costs up to 4"
    )
