"""Pictures with the label that is to be learned, and the settings that name a set of pictures.

Shapes: B samples, C channels, Y X pixels.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from famulus.config.schema import Strict, added
from famulus.feed.draws import seeds_of
from famulus.feed.source import Splits
from famulus.images.class_folders import class_labels, class_notes, match_labels
from famulus.images.derived_source import OverPictures
from famulus.images.file_source import FileSource
from famulus.images.image_source import ImageSource
from famulus.images.open import PictureSplits, open_images
from famulus.images.picture import Recipe, recipe
from famulus.images.unit import as_unit
from famulus.images.views import View, augment

RANGE = "[low, high]: stored values that become 0 and 1; null = 8 bits by 255, deeper ones measured"
BACKGROUND = "black or white: what transparent pictures are laid on"
PAGES = "of files with several: first, middle, or all, each a sample"


def ordered(range: tuple[float, float] | None) -> tuple[float, float] | None:
    """Of two numbers the lower first. Raises ValueError."""
    if range is not None and not range[0] < range[1]:
        raise ValueError(f"expected low < high, received {list(range)}")
    return range


class PictureData(Strict):
    """Which pictures, and how they are made to fit."""

    name: str = Field("digits", description="a set's name, or a path to a folder or zip")
    size: int | None = Field(None, ge=4, le=1024, description="side in pixels; null = as stored")
    filter: Literal["nearest", "bilinear", "box", "bicubic", "lanczos"] = Field(
        "bilinear", description="resampling; all but nearest are antialiased"
    )
    channels: Literal[1, 3] | None = Field(None, description="1 luma, 3 RGB, null = as stored")
    fit: Literal["stretch", "crop"] = Field("stretch", description="what to do if not square")
    subset: int | float | list[str] | None = Field(
        None, description="training samples: a count, a share, or class names"
    )
    validation: int | float | Literal["test"] | None = Field(
        None, description="validation samples: a count, a share, or test: the folder of that name"
    )
    seed: int = Field(0, description="which samples a subset draws")
    range: tuple[float, float] | None = added(None, RANGE)
    pages: Literal["first", "middle", "all"] = added("first", PAGES)
    background: Literal["black", "white"] = added("black", BACKGROUND)

    _ordered = field_validator("range")(ordered)

    def recipe(self, basis: Mapping[str, Any]) -> Recipe:
        """How a picture becomes one that a model takes, of which `basis` holds the shape C Y X and
        the scale (see `Recipe.scale`)."""
        channels, *sides = basis["shape"]
        return recipe(sides, self.filter, channels, self.fit).scaled_by(basis)

    def open(self) -> PictureSplits[ImageSource | FileSource]:
        """Raises ConfigError, DataError as `open_images`."""
        return open_images(
            self.name,
            size=self.size,
            filter=self.filter,
            channels=self.channels,
            subset=self.subset,
            validation=self.validation,
            seed=self.seed,
            fit=self.fit,
            range=self.range,
            pages=self.pages,
            background=self.background,
        )


class Views(Strict):
    """Augmentation, drawn for each sample; the defaults leave pictures as they are."""

    least_area: float = Field(1.0, gt=0, le=1, description="of a crop, as a share; 1 = no crop")
    flip_h: float = Field(0.0, ge=0, le=1, description="probability, left to right")
    flip_v: float = Field(0.0, ge=0, le=1, description="probability, top to bottom")
    jitter: float = Field(0.0, ge=0, lt=1, description="brightness, contrast, channels: 1 +- this")
    grey: float = Field(0.0, ge=0, le=1, description="probability of losing the colours")
    noise: float = Field(0.0, ge=0, le=1, description="probability of noise")
    noise_sd: float = Field(0.1, gt=0, description="of the noise, in grey ranges")

    def view(self) -> View:
        return View(**{name: getattr(self, name) for name in View.__dataclass_fields__})


class LabelledSource(OverPictures):
    """`image` BCYX and `label` int64 B, a position in `names`; augmented if `view` says so."""

    labels: np.ndarray
    classes: tuple[str, ...]

    def __init__(
        self, base: ImageSource | FileSource, names: Sequence[str], view: View | None = None
    ) -> None:
        super().__init__(base)
        self.classes, self.view = tuple(names), view or View()
        # by name: two folders number their classes each from 0
        self.labels = match_labels(*class_labels(base), names, base.part.label)

    @cached_property
    def fingerprint(self) -> str:
        # the views too: augmented otherwise, it is another set
        form = [self.base.fingerprint, self.classes, asdict(self.view)]
        return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:16]

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        image = self.base.gather(indices, seeds)["image"]
        return {"image": image, "label": torch.from_numpy(self.labels[indices])}

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        image = as_unit(batch["image"])
        return {**batch, "image": augment(image, seeds_of(seeds), self.view)}

    @property
    def counts(self) -> dict[str, int]:
        """Pictures of each class."""
        counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))


def open_labelled(settings: PictureData, view: View) -> Splits[LabelledSource]:
    """One class list, that of training, serves both parts; only training pictures are augmented.

    Raises DataError for a class of validation that training lacks.
    """
    pictures = settings.open()
    names, notes = class_notes(pictures.train, pictures.validation)
    train = LabelledSource(pictures.train, names, view)
    # plain: a score must not depend on what was drawn
    held_out = LabelledSource(pictures.validation, names)
    return Splits(train, held_out, lambda: [*notes, *pictures.notes])
