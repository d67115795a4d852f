"""How far a window's border reaches, measured on some windows of a fragment, and the margin for it.

Each pixel is compared with itself (`tasks.scroll.border`), predicted near the border of one window
and at the centre of another. Of a map of ink the loss is the cross-entropy against labels; a volume
that is rebuilt is its own truth: squared error, mean over the window's depth.

Shapes: Y X a map, B windows D H W, P a window's side.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from famulus.config.errors import ConfigError
from famulus.feed.progress import bar
from famulus.tasks.scroll import border
from famulus.tasks.scroll.cubes import Scale
from famulus.tasks.scroll.surface import How, Predict
from famulus.volumes.bricks import Sizes, empty_cubes
from famulus.volumes.open import Fragment

AREAS = 8  # that the loss by distance is measured on, 81 windows each
BATCH = 8
# windows B1DHW, their corners B2 (y, x) in the fragment; to what each pixel costs, BPP
Loss = Callable[[Tensor, np.ndarray], np.ndarray]


@torch.no_grad()
def by_distance(
    fragment: Fragment,
    size: Sizes,
    scale: Scale,
    predict: Predict,
    device: torch.device | str,
    z: int | None = None,
    *,
    deep: bool = False,
) -> dict[str, Any]:
    """L(r) / L(centre) - 1 of single windows, r the distance to their border in the plane, and the
    margin that follows, in figures and in words.

    `deep`: `predict` rebuilds its window; else it gives a map of what `fragment.labels` (YX) show.
    """
    side, z = size[1], (fragment.volume.shape[0] - size[0]) // 2 if z is None else z
    areas = _areas(fragment, side, labelled=not deep)
    if not areas:
        lacks = "papyrus" if deep else "ink and without"
        return {"margin advice": f"cannot tell: no area of two windows' width with {lacks}"}

    def cost(image: Tensor, corners: np.ndarray) -> np.ndarray:
        predicted = predict(image).float()
        if deep:
            return (predicted - image[:, 0]).square().mean(1).cpu().numpy()
        known = np.stack([fragment.labels[y : y + side, x : x + side] for y, x in corners])
        # a confident wrong pixel would cost infinity and be the whole curve
        p, known = predicted.cpu().clamp(1e-6, 1 - 1e-6), torch.from_numpy(known).float()
        return F.binary_cross_entropy(p, known, reduction="none").numpy()

    excess = []
    with bar("loss near borders") as show:
        for place in areas:
            excess.append(_excess(fragment, size, scale, cost, device, z, *place))
            show(len(excess), len(areas))
    found = border.margin(whole := functools.reduce(operator.add, excess), side)
    curve = [round(float(v), 4) if np.isfinite(v) else None for v in whole.curve()]
    return {
        "loss by distance to border, over that at the centre": curve,
        "margin advised": found.value,
        "margin interval": [found.low, found.high],
        "margin advice": found.words(side),
        "margin windows": len(areas) * len(_offsets(side)) ** 2,
    }


def settled(how: How, found: dict[str, Any], side: int) -> tuple[How, str]:
    """`how` with the margin that was measured, and why: as much of it as the stride leaves.

    What lies within the margin of every window keeps only the weight `blend.FLOOR`, so a margin
    may not leave gaps between windows. None is taken where the measurement cannot tell.
    """
    advice = found["margin advice"]
    if "margin advised" not in found or advice.startswith("cannot tell"):
        return how, f"0: {advice}"
    # what is cut on both sides must leave the stride between them, or there are gaps
    most, wanted = max(0, (side - how.stride) // 2), found["margin advised"]
    why = f"{min(wanted, most)}, measured"
    if wanted > most:
        why += f": {wanted} advised, and windows {how.stride} apart leave room for {most}"
    return replace(how, margin=min(wanted, most)), why


def needs_labels(fragment: Fragment) -> None:
    """Raises ConfigError if there are none: a margin cannot be measured."""
    if fragment.labels is None:
        raise ConfigError(
            "apply: option margin: auto measures against labels (labels=FILE), and "
            f"{fragment.name} has none: expected a whole number"
        )


def _areas(fragment: Fragment, side: int, labelled: bool) -> list[tuple[int, int]]:
    """Corners of up to `AREAS` squares of two windows' width, half papyrus at least, with both
    labels if `labelled`; spread evenly over those that there are.
    """
    tall, wide = fragment.mask.shape
    corners = []
    # two windows' width: a pixel in the middle is then met at every distance
    for y in range(0, tall - 2 * side + 1, 2 * side):
        for x in range(0, wide - 2 * side + 1, 2 * side):
            place = slice(y, y + 2 * side), slice(x, x + 2 * side)
            inside = fragment.mask[place]
            both = not labelled or len(np.unique(fragment.labels[place][inside])) == 2
            if inside.mean() >= 0.5 and both:
                corners.append((y, x))
    # evenly: the first ones would all be of one corner
    keep = np.unique(np.linspace(0, len(corners) - 1, min(AREAS, len(corners))).round().astype(int))
    return [corners[i] for i in keep]


def _offsets(side: int) -> list[int]:
    """Where windows begin in an area, along each axis: nine, so that a pixel is near the border of
    some and at the centre of another."""
    return sorted({round(side * i / 8) for i in range(9)})


def _excess(
    fragment: Fragment,
    size: Sizes,
    scale: Scale,
    cost: Loss,
    device: torch.device | str,
    z: int,
    top: int,
    left: int,
) -> border.Excess:
    side = size[1]
    valid = fragment.mask[top : top + 2 * side, left : left + 2 * side]
    corners = np.array([(y, x) for y in _offsets(side) for x in _offsets(side)])
    loss = []
    for some in np.array_split(corners + np.array([top, left]), -(-len(corners) // BATCH)):
        voxels = empty_cubes(len(some), size, fragment.volume.dtype.newbyteorder("="))
        for out, (y, x) in zip(voxels, some, strict=True):
            fragment.volume.read((z, int(y), int(x)), out)
        image = torch.from_numpy(voxels).to(device).to(torch.float32)
        image = ((image - scale.mean) / scale.sd).contiguous()[:, None]
        loss.append(cost(image, some))
    return border.paired(np.concatenate(loss), corners, valid, max(1, side // 2))
