"""Settings of tasks `pretext` and `transfer` for a set of pictures that was looked at.

They are those of `experiments/pretext/clothing-contrastive` and `experiments/transfer`.
"""

from typing import Any

from famulus.config.errors import DataError
from famulus.images.survey import Survey
from famulus.tasks.base import Proposal

CANDIDATES = 64


def pretext_proposal(survey: Survey) -> Proposal:
    views: dict[str, Any] = {"least_area": 0.2, **_views(survey, 0.4)}
    if survey.channels == 3:
        views["grey"] = 0.2
    return Proposal(
        {
            "data": {
                **_data(survey),
                "pretext": "contrastive",
                "candidates": max(2, min(CANDIDATES, survey.validation)),
                "views": views,
            },
            "model": {
                "encoder": _encoder(survey),
                "head": {"kind": "projection", "embedding": 64, "hidden": 256},
            },
            "loss": {"kind": "info_nce", "temperature": 0.2},
            "training": {"batch": 128, "optimizer": _optimizer(0.01)},
        },
        survey.lines(),
    )


def transfer_proposal(survey: Survey) -> Proposal:
    """Raises DataError for a set without classes."""
    if len(survey.classes) < 2:
        why = f"; {survey.unclear}" if survey.unclear else ""
        raise DataError(
            f"{survey.name}: task transfer learns classes: expected a folder for each of at least"
            f" 2, received {len(survey.classes)}{why}"
        )
    views = {"least_area": 0.35, **_views(survey, 0.2)}
    return Proposal(
        {
            "data": {**_data(survey), "views": views},
            "model": {"encoder": _encoder(survey)},
            "training": {"batch": 32, "optimizer": _optimizer(0.05)},
        },
        survey.lines(),
    )


def _data(survey: Survey) -> dict[str, Any]:
    data = survey.at(size=survey.small_side(8))
    return data | {"fit": "crop"} if survey.differ else data


def _views(survey: Survey, jitter: float) -> dict[str, float]:
    # mirrored letters and digits are others; grey pictures are often those
    return {"flip_h": 0.5, "jitter": jitter} if survey.channels == 3 else {}


def _encoder(survey: Survey) -> dict[str, Any]:
    if survey.small_side(8) >= 32:
        return {"kind": "conv", "channels": [32, 64, 128, 256], "stem": 2}
    return {"kind": "conv", "channels": [32, 64, 128], "stem": 1}


def _optimizer(decay: float) -> dict[str, Any]:
    return {"name": "adamw", "lr": 0.003, "weight_decay": decay}
