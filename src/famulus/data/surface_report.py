"""What is said of a predicted surface: its seams, its scores, the loss near a window's border.

Shapes: Y X a map, D H W a window.
"""

import functools
import operator
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from famulus.data.bricks import Sizes, empty_cubes
from famulus.data.cubes import Scale
from famulus.data.surface import Predict
from famulus.data.volumes import Fragment
from famulus.ops import blend, border, scores

AREAS = 8  # that the loss by distance is measured on, 81 windows each
BATCH = 8
SEAM, PHASE = 1.05, 4.0  # seam ratio and phase score above which, both, seams are reported


def seams(made_YX: np.ndarray, stride: int, period: int = 1) -> dict[str, Any]:
    """Seam ratio and phase score of each axis, and what they say; nothing where the map has too
    few borders. `period`: see `blend.seam_ratio`."""
    found: dict[str, Any] = {}
    seen = []
    for axis, name in enumerate("yx"):
        if made_YX.shape[axis] > 2 * stride > 2:
            given = made_YX, stride, axis, 0, period
            found[f"seam ratio {name}"] = blend.seam_ratio(*given)
            found[f"seam phase score {name}"] = score = blend.phase_score(*given)
            if found[f"seam ratio {name}"] > SEAM and score > PHASE:
                seen.append(name)
    if found:
        found["seams"] = (
            f"seen along {' and '.join(seen)}: take a smaller stride, then the margin advised"
            if seen
            else "none seen"
        )
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
    fragment: Fragment,
    size: Sizes,
    scale: Scale,
    predict: Predict,
    device: torch.device | str,
    z: int | None = None,
) -> dict[str, Any]:
    """L(r) / L(centre) - 1 of single windows, r the distance to their border, each pixel against
    itself (`ops.border`), and the margin that follows, in figures and in words.
    """
    side, z = size[1], (fragment.volume.shape[0] - size[0]) // 2 if z is None else z
    areas = _areas(fragment, side)
    if not areas:
        return {"margin advice": "cannot tell: no area of two windows' width with ink and without"}
    excess = [_excess(fragment, size, scale, predict, device, z, *place) for place in areas]
    whole = functools.reduce(operator.add, excess)
    found = border.margin(whole, side)
    curve = [round(float(v), 4) if np.isfinite(v) else None for v in whole.curve()]
    return {
        "loss by distance to border, over that at the centre": curve,
        "margin advised": found.value,
        "margin interval": [found.low, found.high],
        "margin advice": found.words(side),
        "margin windows": len(areas) * len(_offsets(side)) ** 2,
    }


def _areas(fragment: Fragment, side: int) -> list[tuple[int, int]]:
    """Corners of up to `AREAS` squares of two windows' width, half papyrus at least, with both
    labels; spread evenly over those that there are.
    """
    tall, wide = fragment.mask.shape
    found = []
    for y in range(0, tall - 2 * side + 1, 2 * side):
        for x in range(0, wide - 2 * side + 1, 2 * side):
            place = slice(y, y + 2 * side), slice(x, x + 2 * side)
            inside = fragment.mask[place]
            if inside.mean() >= 0.5 and len(np.unique(fragment.labels[place][inside])) == 2:
                found.append((y, x))
    keep = np.unique(np.linspace(0, len(found) - 1, min(AREAS, len(found))).round().astype(int))
    return [found[i] for i in keep]


def _offsets(side: int) -> list[int]:
    """Where windows begin in an area, along each axis: nine, so that a pixel is near the border of
    some and at the centre of another."""
    return sorted({round(side * i / 8) for i in range(9)})


def _excess(
    fragment: Fragment,
    size: Sizes,
    scale: Scale,
    predict: Predict,
    device: torch.device | str,
    z: int,
    top: int,
    left: int,
) -> border.Excess:
    side = size[1]
    place = slice(top, top + 2 * side), slice(left, left + 2 * side)
    target, valid = fragment.labels[place], fragment.mask[place]
    corners = np.array([(y, x) for y in _offsets(side) for x in _offsets(side)])
    loss = []
    for some in np.array_split(corners, -(-len(corners) // BATCH)):
        voxels = empty_cubes(len(some), size, fragment.volume.dtype.newbyteorder("="))
        for out, (y, x) in zip(voxels, some, strict=True):
            fragment.volume.read((z, top + int(y), left + int(x)), out)
        image = torch.from_numpy(voxels).to(device).to(torch.float32)
        image = ((image - scale.mean) / scale.sd).contiguous()[:, None]
        p = predict(image).float().cpu().clamp(1e-6, 1 - 1e-6)
        labels = np.stack([target[y : y + side, x : x + side] for y, x in some])
        known = torch.from_numpy(labels.astype(np.float32))
        loss.append(F.binary_cross_entropy(p, known, reduction="none").numpy())
    return border.paired(np.concatenate(loss), corners, valid, max(1, side // 2))
