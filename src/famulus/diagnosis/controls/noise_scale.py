"""How large a batch is worth its price? The gradient noise scale, with advice."""

import math
from collections.abc import Sequence

from torch import Tensor

from famulus.diagnosis.controls import Control
from famulus.nets.noise_scale import advice, noise_scale


def gradient_noise(gradients: Sequence[tuple[Tensor, int]], batch: int) -> Control:
    """(gradient, samples it is a mean over) of disjoint small batches at the same weights."""
    if len(gradients) < 2:
        return Control("gradient noise", "skipped", f"a batch of {batch} can't be divided in two")
    scale = noise_scale(gradients)
    figures = {"noise_scale": scale, "batch": batch, "of": sum(size for _, size in gradients)}
    if not math.isfinite(scale):
        figures["noise_scale"] = None
    return Control("gradient noise", "ok", f"at the start: {advice(scale, batch)}", figures=figures)
