"""Settings of task `codes` for a set of pictures that was looked at.

Sizes, widths and batches are those of `experiments/codes`: clothing-128, tiles-colour, mnist.
"""

from collections.abc import Mapping
from typing import Any

from famulus.images.survey import Survey
from famulus.tasks.base import Proposal

# Measured (docs/codes.md): of 4, 8, 16 and 64 numbers and decays of .95 and .99 these are best.
START = {"model.quantiser.dim": 4, "model.quantiser.decay": 0.95}
CODES, FEW = 256, 64  # in the codebook; where there are too few places to fill it
PER_CODE = 16  # places of the training set that a code needs
POOL = 10_000  # vectors for the start of the codebook


def codes_proposal(survey: Survey) -> Proposal:
    side = _side(survey)
    net, factor = _net(side)
    batch = 16 if side > 48 else 64 if side < 32 else 32
    places = (side // factor) ** 2
    size = CODES if survey.train * places >= PER_CODE * CODES else FEW
    quantiser = {"kind": "ema", "size": size, "dim": START["model.quantiser.dim"]}
    quantiser |= {"decay": START["model.quantiser.decay"]}
    if 8 * batch * places < POOL:  # else the codebook would wait for its start for long
        quantiser["pool"] = max(4 * size, 8 * batch * places)
    data = survey.at(size=side)
    return Proposal(
        {
            "data": {**data, "fit": "letterbox", "scaling": "standard"},
            "model": {**net, "quantiser": quantiser},
            "training": {
                "batch": batch,
                "optimizer": {"name": "adam", "lr": 0.001},
                "clip": 1.0,
            },
        },
        survey.lines(),
    )


def _side(survey: Survey) -> int:
    """A side that the net's strides divide, no larger than the pictures need."""
    if survey.side >= 200:
        return 128
    if survey.side >= 48:
        return 64
    return max(8, -(-survey.side // 4) * 4)


def _net(side: int) -> tuple[Mapping[str, Any], int]:
    """(of a section `model`, pixels a side of one place of its grid)."""
    if side == 128:
        return {"patch": 4, "widths": [48, 64]}, 8
    if side == 64:
        return {"patch": 2, "widths": [48, 64]}, 4
    if side >= 32:
        return {"patch": 2, "widths": [32, 64]}, 4
    return ({"widths": [16, 32, 32]}, 4) if side >= 16 else ({"widths": [32, 64]}, 2)
