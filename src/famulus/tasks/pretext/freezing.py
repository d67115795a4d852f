"""Frozen parts, batch-norm statistics included; thawing from the head downwards.

`requires_grad = False` alone leaves running means and variances moving (pytorch/pytorch#86590).
"""

from collections.abc import Sequence

from torch import nn


def freeze(part: nn.Module) -> None:
    """No gradients, and eval mode: the owner must keep it so, see `hold`."""
    part.requires_grad_(False)
    part.eval()


def hold(parts: Sequence[nn.Module], frozen: int) -> None:
    """The first `frozen` parts in eval mode; call it from the owner's `train`."""
    for part in parts[:frozen]:
        part.eval()


def thaw_to(parts: Sequence[nn.Module], frozen: int, training: bool) -> None:
    """The first `frozen` of `parts` frozen, the others trained again."""
    for number, part in enumerate(parts):
        if number < frozen:
            freeze(part)
        else:
            part.requires_grad_(True)
            part.train(training)


def frozen_parts(parts: int, inputs: int, start: int, every: int | None) -> int:
    """How many parts are frozen after `inputs` examples: `start` at first, one less each `every`.

    Gradual unfreezing: Howard & Ruder 2018, arXiv 1801.06146.
    """
    # a file may ask for more than the net has
    start = min(start, parts)
    return start if every is None else max(0, start - inputs // every)
