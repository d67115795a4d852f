"""Settings of task `scroll` for a volume that was looked at: ink where it has labels, else cubes.

They are those of `experiments/scroll`: ink, membranes and em-cubes. Lengths in voxels.
"""

from typing import Any

from famulus.config.errors import DataError
from famulus.tasks.base import Proposal
from famulus.volumes.look import VolumeSurvey

LEAST = 16  # side of a cube


def scroll_proposal(survey: VolumeSurvey) -> Proposal:
    """Raises DataError for a volume too small for a cube and a split."""
    deep, *sides = survey.shape
    side = next((n for n in (64, 32, LEAST) if min(sides) >= 4 * n), 0)
    if not side:
        raise DataError(
            f"{survey.name}: expected at least {4 * LEAST} x {4 * LEAST} voxels (y, x), received"
            f" {sides[0]} x {sides[1]}"
        )
    inked = survey.labels is not None
    side = side if inked else min(side, 32)
    # three halvings of each side
    depth = min(deep, 24 if inked else 16) // 8 * 8 or 1
    cubes = {"cube": [depth, side, side], "validation": 0.25, "gap": side // 2}
    more = {"augment": True} if inked else {"depths": max(1, deep // depth), "most": 64}
    data = {"name": survey.name, **survey.part, **cubes}
    return Proposal(
        {
            "data": {
                **data,
                **more,
            }
        }
        | (_ink() if inked else _cubes(side)),
        [f"{key}: {value}" for key, value in survey.facts()],
    )


def _ink() -> dict[str, Any]:
    net = {"kind": "ink", "widths": [8, 16, 32], "stage": "block", "skip": True, "norm": "batch"}
    return {
        "model": {**net, "mid": "relu", "coarse": 4, "head": 24},
        "loss": {"bce": 0.5, "dice": 0.5},
        "training": {
            "batch": 8,
            "optimizer": {"name": "adamw", "lr": 0.003},
            "keep": {"best": "val/auc", "direction": "max"},
        },
    }


def _cubes(side: int) -> dict[str, Any]:
    widths = [32, 64, 128] if side >= 32 else [32, 64]
    net = {"kind": "autoencoder", "widths": widths, "code": 512, "stage": "block"}
    return {
        "model": {**net, "skip": True, "norm": "batch"},
        "training": {"batch": 16, "optimizer": {"name": "adam", "lr": 0.002}},
    }
