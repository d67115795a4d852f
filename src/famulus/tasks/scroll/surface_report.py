"""What is said of a predicted surface: its seams and its scores (`surface_margin`: its borders).

Shapes: Y X a map, P Y X planes of a volume.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from famulus.tasks.scroll import binary_scores as scores
from famulus.tasks.scroll import blend
from famulus.tasks.scroll.cubes import Scale
from famulus.volumes.bricks import Sizes
from famulus.volumes.open import Fragment

# a sound map has S 1.00 with sd .02 and z about 0; offsets of 1 % between windows give 1.10, 5.6
SEAM, PHASE = 1.05, 4.0  # seam ratio and phase score above which, both, seams are reported


def profiles(made_PYX: np.ndarray) -> dict[str, np.ndarray]:
    """Mean |difference| of neighbours along z, y and x (`blend.steps`): P - 1, Y - 1 and X - 1.

    Plane by plane: the result need not fit into memory.
    """
    y, x, z, before = 0.0, 0.0, [], None
    for made in made_PYX:
        # float64: sums over millions of small differences
        plane = np.asarray(made, np.float64)
        y, x = y + blend.steps(plane, 0), x + blend.steps(plane, 1)
        if before is not None:
            z.append(np.abs(plane - before).mean())
        before = plane
    return {"z": np.array(z), "y": y / len(made_PYX), "x": x / len(made_PYX)}


def seams(steps: Mapping[str, np.ndarray], strides: Sizes, period: int = 1) -> dict[str, Any]:
    """Seam ratio and phase score of each axis, and what they say; nothing where the result has too
    few borders. `strides` along z, y and x; `period`: see `blend.seam_ratio`."""
    found: dict[str, Any] = {}
    seen, unclear = [], []
    for name, stride in zip("zyx", strides, strict=True):
        # one border, or a stride of 1: nothing to compare with
        if not len(steps[name]) + 1 > 2 * stride > 2:
            continue
        if not blend.comparable(stride, period):
            unclear.append(name)
            continue
        given = steps[name], stride, 0, period
        found[f"seam ratio {name}"] = blend.ratio_of(*given)
        found[f"seam phase score {name}"] = score = blend.score_of(*given)
        if found[f"seam ratio {name}"] > SEAM and score > PHASE:
            seen.append(name)
    words = []
    if seen:
        words.append(f"seen along {_and(seen)}: take a smaller stride, then the margin advised")
    elif found:
        words.append("none seen")
    if unclear:
        words.append(
            f"cannot tell along {_and(unclear)}: the net's own grid repeats every {period} voxels "
            f"and would be taken for borders; a stride of {2 * period}, {3 * period}, ... tells"
        )
    return found | ({"seams": "; ".join(words)} if words else {})


def _and(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]


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
    # the variance over all planes: what the best single grey level leaves
    return {"recon": error / n, "recon of one grey level": float(square / n - (total / n) ** 2)}


def against_labels(fragment: Fragment, made_YX: np.ndarray, threshold: float) -> dict[str, Any]:
    """Scores inside the mask against the labels and, where it is known, against the truth."""
    report = {}
    p = torch.from_numpy(np.asarray(made_YX)[fragment.mask])
    for name, side in (("labels", fragment.labels), ("truth", fragment.truth)):
        # one class alone has no AUC
        if side is None or not 0 < side[fragment.mask].mean() < 1:
            continue
        target = torch.from_numpy(side[fragment.mask])
        curve = scores.curve(p, target)
        report[name] = {
            "auc": scores.auc(curve),
            "ap": scores.average_precision(curve),
            "f05": scores.at_threshold(p, target, threshold),
            "dice": scores.at_threshold(p, target, threshold, beta=1.0),
            "f05 of everything": scores.everything(float(target.double().mean())),
            "threshold": threshold,
        }
    return report
