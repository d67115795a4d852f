"""What is said of a predicted surface: its seams, its scores, the loss near a window's border.

Shapes: Y X a map, N windows of P x P, R distances to a window's border.
"""

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from famulus.data.bricks import Sizes
from famulus.data.cubes import CubeSource, Scale, grid_corners, make_field
from famulus.data.streams import sample_seeds
from famulus.data.surface import Predict
from famulus.data.volumes import Fragment
from famulus.ops import blend, scores

WINDOWS = 256  # that the loss by distance is measured on
BATCH = 8


def seams(made_YX: np.ndarray, stride: int, period: int = 1) -> dict[str, float]:
    """Seam ratio and phase score of each axis; nothing where the map has too few borders."""
    found = {}
    for axis, name in enumerate("yx"):
        if made_YX.shape[axis] > 2 * stride > 2:
            given = made_YX, stride, axis, 0, period
            found[f"seam ratio {name}"] = blend.seam_ratio(*given)
            found[f"seam phase score {name}"] = blend.phase_score(*given)
    return found


def rebuilt(fragment: Fragment, made_PYX: np.ndarray, scale: Scale, z: int) -> dict[str, float]:
    """Mean squared error inside the mask, in units of the scale, and what one grey level scores.

    Plane by plane; the result's first plane is the volume's plane `z`.
    """
    plane = np.empty((1, *made_PYX.shape[1:]), fragment.volume.dtype.newbyteorder("="))
    error = total = square = 0.0
    for i, made in enumerate(made_PYX):
        fragment.volume.read((z + i, 0, 0), plane)
        voxels = (plane[0][fragment.mask].astype(np.float64) - scale.mean) / scale.sd
        error += float(np.square(made[fragment.mask] - voxels).mean())
        total, square = total + voxels.mean(), square + np.square(voxels).mean()
    n = len(made_PYX)
    return {"recon": error / n, "recon of one grey level": float(square / n - (total / n) ** 2)}


def against_labels(fragment: Fragment, made_YX: np.ndarray, threshold: float) -> dict[str, Any]:
    """Scores inside the mask against the labels and, where it is known, against the truth."""
    found = {}
    p = torch.from_numpy(np.asarray(made_YX)[fragment.mask])
    for name, side in (("labels", fragment.labels), ("truth", fragment.truth)):
        if side is None or not 0 < side[fragment.mask].mean() < 1:
            continue
        target = torch.from_numpy(side[fragment.mask])
        curve = scores.curve(p, target)
        found[name] = {
            "auc": scores.auc(curve),
            "ap": scores.average_precision(curve),
            "f05": scores.at_threshold(p, target, threshold),
            "dice": scores.at_threshold(p, target, threshold, beta=1.0),
            "f05 of everything": scores.everything(float(target.double().mean())),
            "threshold": threshold,
        }
    return found


@torch.no_grad()
def by_distance(
    fragment: Fragment, size: Sizes, scale: Scale, predict: Predict, device: torch.device | str
) -> dict[str, Any]:
    """L(r): cross-entropy of single windows at distance r from their border, nats a pixel, and the
    margin that follows, with its 90 % interval over windows.
    """
    field = make_field(fragment, fragment.mask, size, 0.0, 0.5)
    corners = grid_corners(fragment.mask, size, fragment.volume.shape[0])[:WINDOWS]
    source, rings = CubeSource(fragment, field, scale, 1, corners=corners), []
    for begin in range(0, len(corners), BATCH):
        index = np.arange(begin, min(begin + BATCH, len(corners)))
        seeds = sample_seeds(0, 0, index)
        batch = source.finish(source.gather(index, seeds), seeds)
        p = predict(batch["image"].to(device)).cpu().clamp(1e-6, 1 - 1e-6)
        nats = F.binary_cross_entropy(p, batch["label"], reduction="none").numpy()
        rings += [blend.loss_by_distance(one[None]) for one in nats]
    margin, (low, high) = blend.margin(np.stack(rings))
    return {
        "loss by distance to border": [round(float(v), 5) for v in np.mean(rings, 0)],
        "margin advised": margin,
        "margin interval": [low, high],
    }
