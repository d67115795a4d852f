"""The soft-histogram loss in the form that people write: one sigmoid a pixel, bin and side."""

import torch
from torch import Tensor


def broadcast_histogram(x_BCP: Tensor, bins: int, low: float, high: float, sigma: float) -> Tensor:
    """(B, C, P) -> (B, C, bins) by a (B, C, bins, P) difference of sigmoids."""
    delta = (high - low) / bins
    centres = low + delta * (torch.arange(bins, dtype=x_BCP.dtype) + 0.5)
    distance = x_BCP[:, :, None, :] - centres[:, None]
    mass = torch.sigmoid(sigma * (distance + delta / 2)) - torch.sigmoid(
        sigma * (distance - delta / 2)
    )
    return mass.sum(-1)


def broadcast_loss(recon: Tensor, target: Tensor, bins: int, sigma: float) -> Tensor:
    """mean |h - h'| over images, channels and bins, range 0 to 1."""
    h = broadcast_histogram(recon.flatten(2), bins, 0.0, 1.0, sigma)
    h_target = broadcast_histogram(target.flatten(2), bins, 0.0, 1.0, sigma)
    return (h - h_target).abs().mean()
