"""The `data` section of tasks `codes` and `prior`: letterboxed pictures, filtered by tags."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field
from torch import Tensor

from famulus.feed.source import Source, Splits
from famulus.images.image_index import Filter
from famulus.images.image_source import Choice
from famulus.images.labelled_source import PictureData
from famulus.tasks.codes.filtered_source import pick


class CodedData(PictureData):
    """Which pictures, by name and by tags, and how they are made to fit and scaled."""

    size: int | list[int] | None = Field(  # type: ignore[assignment]
        None, description="side in pixels or [height, width]; null = as stored"
    )
    channels: Literal[1, 3] | None = Field(3, description="1 luma, 3 RGB, null = as stored")
    fit: Literal["letterbox", "stretch", "crop"] = Field(  # type: ignore[assignment]
        "letterbox", description="letterbox pads, and the padding counts nowhere"
    )
    scaling: Literal["unit", "clamped", "centred", "standard", "per-sample"] = Field(
        "unit", description="of grey values, stored with the run (tasks/codes/scaling.py)"
    )
    index: str | None = Field(None, description=".csv or .json: file, tags, width, height")
    include: list[str] = Field([], description="keep pictures with any of these tags; [] = all")
    exclude: list[str] = Field([], description="leave out pictures with any of these tags")
    orientation: Literal["any", "portrait", "landscape", "square"] = "any"

    def picked(self) -> Splits:
        """What the filter keeps. Raises ConfigError or DataError as `open`, `Filter`, `pick`."""
        how = Filter(
            frozenset(tag.lower() for tag in self.include),
            frozenset(tag.lower() for tag in self.exclude),
            self.orientation,
        )
        if how.keeps_all and self.index is None:
            return self.open()
        # a share or `test` may be what splits the set; all else is drawn after the filter
        split = self.validation if isinstance(self.validation, float | str) else None
        whole = self.model_copy(update={"subset": None, "validation": split}).open()
        return pick(
            whole,
            how,
            Path(self.index) if self.index else None,
            Choice(self.subset, self.seed, "data.subset"),
            Choice(None if split else self.validation, self.seed, "data.validation"),
        )


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
