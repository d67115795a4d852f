"""Small pictures by name: a set, `noise`, or `composites` of a set's pictures."""

from typing import Any

from famulus.config.errors import ConfigError
from famulus.feed.source import Splits
from famulus.images.decoding import Ground
from famulus.images.open import open_images
from famulus.tasks.tiles.composites import composite_splits
from famulus.tasks.tiles.noise import open_noise

NOISE = {"train": 60_000, "validation": 10_000}  # the journal's


def open_tiles(
    name: str,
    *,
    size: int | None,
    filter: str,
    channels: int | None,
    subset: Any,
    validation: Any,
    seed: int,
    fit: str,
    mean: float = 0.5,
    sd: float = 0.5,
    of: str = "crawl-tiles",
    of_size: int | None = None,
    pasted: int = 3,
    count: int | None = None,
    validation_count: int | None = None,
    range: tuple[float, float] | None = None,
    pages: str = "first",
    background: Ground = "black",
) -> Splits:
    """As `open_images`, and the two sets that are made.

    noise: `subset` and `validation` are counts, `seed` draws another set.
    composites: `pasted` pictures of the set `of`, each of side `of_size`, on another, enlarged to
    `size`; subset and validation choose among the pictures, `count` and `validation_count` say how
    many composites are made of them. Raises ConfigError, DataError.
    """
    if name == "noise":
        counts = {"train": subset, "validation": validation}
        for part, count in counts.items():
            if count is not None and type(count) is not int:
                key = "subset" if part == "train" else part
                raise ConfigError(f"data.{key}: noise expects a count, received {count!r}")
        given = {part: count or NOISE[part] for part, count in counts.items()}
        return open_noise(size or 32, channels or 1, **given, mean=mean, sd=sd, seed=seed)
    how = (filter, channels, subset, validation, seed, fit)
    values: Any = {"range": range, "pages": pages, "background": background}
    if name == "composites":
        base = open_images(of, of_size, *how, **values)
        return composite_splits(base, size or 64, pasted, count, validation_count, seed)
    return open_images(name, size, *how, **values)
