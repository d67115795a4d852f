"""The `data` section of tasks `codes` and `prior`: letterboxed pictures, filtered by tags."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field
from torch import Tensor

from famulus.config.schema import Strict
from famulus.data.image_index import Filter
from famulus.data.images import open_images
from famulus.data.picked import pick
from famulus.data.source import Source, Splits


class CodedData(Strict):
    """Which pictures, and how they are made to fit."""

    name: str = Field("digits", description="a set's name, or a path to a folder or zip")
    size: int | list[int] | None = Field(
        None, description="side in pixels or [height, width]; null = as stored"
    )
    filter: Literal["nearest", "bilinear", "box", "bicubic", "lanczos"] = Field(
        "bilinear", description="resampling; all but nearest are antialiased"
    )
    channels: Literal[1, 3] | None = Field(3, description="1 luma, 3 RGB, null = as stored")
    fit: Literal["letterbox", "stretch", "crop"] = Field(
        "letterbox", description="letterbox pads, and the padding counts nowhere"
    )
    scaling: Literal["unit", "clamped", "centred", "standard", "per-sample"] = Field(
        "unit", description="of grey values, stored with the run (models/scaling.py)"
    )
    index: str | None = Field(None, description=".csv or .json: file, tags, width, height")
    include: list[str] = Field([], description="keep pictures with any of these tags; [] = all")
    exclude: list[str] = Field([], description="leave out pictures with any of these tags")
    orientation: Literal["any", "portrait", "landscape", "square"] = "any"
    subset: int | float | list[str] | None = Field(
        None, description="training samples: a count, a share, or class names"
    )
    validation: int | float | None = Field(
        None, description="validation samples: a count or a share"
    )
    seed: int = Field(0, description="which samples a subset draws")


def open_coded(d: CodedData) -> Splits:
    """Raises ConfigError or DataError as `open_images`, `Filter` and `Picked` do."""
    how = Filter(
        frozenset(tag.lower() for tag in d.include),
        frozenset(tag.lower() for tag in d.exclude),
        d.orientation,
    )
    splits = open_images(
        d.name,
        size=d.size,
        filter=d.filter,
        channels=d.channels,
        subset=d.subset,
        validation=d.validation,
        seed=d.seed,
        fit=d.fit,
    )
    return pick(splits, how, Path(d.index) if d.index else None)


def batches(source: Source, size: int, most: int | None = None) -> Iterator[dict[str, Tensor]]:
    """Finished batches in order, or of `most` samples spread evenly over the source."""
    n = len(source)
    indices = np.arange(n)
    if most is not None and most < n:
        indices = np.unique(np.linspace(0, n - 1, most).astype(np.int64))
    for start in range(0, len(indices), size):
        part = indices[start : start + size]
        seeds = np.zeros(len(part), np.uint64)
        yield source.finish(source.gather(part, seeds), seeds)
