"""A price on a code that does not keep the spread and the mean asked for.

    price = |sd - mean over d of sd_b(z_bd)| + |mean - mean over b and d of z_bd|

The sd of a unit is that over the batch (or the whole validation set), without Bessel's correction,
so that a batch of one has sd 0 and no gradient instead of NaN.

Shapes: B batch, D numbers of the code. Units: those of the code.
"""

from torch import Tensor


def of_moments(spread: Tensor, middle: Tensor, sd: float, mean: float) -> Tensor:
    """The price of a code whose units have `spread` on average, and the mean `middle`: scalar."""
    return (sd - spread).abs() + (mean - middle).abs()


def of_batch(code_BD: Tensor, sd: float, mean: float) -> Tensor:
    """The price of a batch of codes, in float32: scalar."""
    # half precision would round a spread near the one asked for, and the price with it
    code_BD = code_BD.float()
    return of_moments(code_BD.std(0, correction=0).mean(), code_BD.mean(), sd, mean)


def sums(code_BD: Tensor) -> dict[str, Tensor]:
    """What `moments` needs, float64, to be added over batches; nothing waits here."""
    code_BD = code_BD.double()
    return {"code_D": code_BD.sum(0), "code2_D": code_BD.square().sum(0)}


def moments(mean_of: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean sd of a unit, and the mean of all, from those sums divided by the samples."""
    middle_D = mean_of["code_D"]
    # E z^2 - (E z)^2 may round below 0 where a unit is constant
    variance_D = (mean_of["code2_D"] - middle_D.square()).clamp(min=0)
    return variance_D.sqrt().mean(), middle_D.mean()
