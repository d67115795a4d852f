"""What validates: windows side by side in blocks of the training fragment, or in other fragments.

Shapes: D H W a window (z, y, x), Y X a region. Units: voxels.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.feed.streams import sample_seeds
from famulus.tasks.scroll.cube_field import grid_corners, make_field
from famulus.tasks.scroll.cubes import CubeSource, Scale
from famulus.tasks.scroll.joined_source import Joined
from famulus.tasks.scroll.regions import Box
from famulus.volumes.bricks import Sizes
from famulus.volumes.open import Fragment


class Held(NamedTuple):
    """A fragment, and the part of it that validates."""

    fragment: Fragment
    region_YX: np.ndarray
    blocks: Sequence[Box] | None = None  # that no window leaves


def several(given: Sequence[Any]) -> Sequence[Any]:
    """A list of other fragments as it was given. Raises ValueError if it can be none."""
    if not given:
        raise ValueError("expected at least one seed or path in the list, received none")
    kind = str if isinstance(given[0], str) else int
    for value in given:
        if type(value) is not kind:  # not isinstance: True is an int
            raise ValueError(
                "expected a list of phantoms' seeds (integers) or of paths, "
                f"received {value!r} in it"
            )
    for value in given:
        if given.count(value) > 1:
            raise ValueError(f"expected every fragment once, received {value!r} twice")
    return given


def windows(
    held: Sequence[Held],
    size: Sizes,
    scale: Scale,
    cover: float,
    most: int | None,
    seed: int,
    depths: int = 1,
) -> CubeSource | Joined:
    """All windows of `size`, or `most` of them, as many of each fragment as there are to share.

    Raises DataError naming a fragment in which no window lies, ConfigError if `most` is too few.
    """
    if most is not None and most < len(held):
        raise ConfigError(
            f"data.most: expected at least one window for each of {len(held)} fragments, "
            f"received {most}"
        )
    if not all(h.fragment.labels is not None for h in held):  # a batch has them for all or none
        held = [h._replace(fragment=replace(h.fragment, labels=None)) for h in held]
    laid = [_laid(h, size, cover, depths) for h in held]
    kept = share([len(corners) for _, corners in laid], most, seed)
    sources = [
        CubeSource(h.fragment, field, scale, 1, corners=corners[mine])
        for h, (field, corners), mine in zip(held, laid, kept, strict=True)
    ]
    return sources[0] if len(sources) == 1 else Joined(sources)


def _laid(held: Held, size: Sizes, cover: float, depths: int) -> tuple:
    """(field, corners); what is wrong is said of this fragment."""
    fragment, region_YX, blocks = held
    try:
        field = make_field(fragment, region_YX, size, 0.0, cover)
        deep = fragment.volume.shape[0]
        return field, grid_corners(region_YX, size, deep, blocks=blocks, depths=depths)
    except DataError as error:
        # already names it
        if str(error).startswith(fragment.name):
            raise
        raise DataError(f"{fragment.name}: {error}") from None


def share(counts: Sequence[int], most: int | None, seed: int) -> list[np.ndarray]:
    """Which windows stay, ascending, of each fragment; one of each in turn until there are `most`.

    Each fragment's own are taken in random order.
    """
    if most is None or sum(counts) <= most:
        return [np.arange(n) for n in counts]
    starts = np.cumsum([0, *counts])
    chance = sample_seeds(seed, 3, np.arange(starts[-1]))
    orders = [np.argsort(chance[a:b], kind="stable") for a, b in pairwise(starts)]
    turn = np.concatenate([np.arange(n) for n in counts])  # of the first ones taken, and so on
    whose = np.repeat(np.arange(len(counts)), counts)
    taken = np.bincount(whose[np.lexsort((whose, turn))[:most]], minlength=len(counts))
    # ascending: a file is read from front to back
    return [np.sort(order[:n]) for order, n in zip(orders, taken, strict=True)]


def both_values(which: str, fragment: Fragment, region_YX: np.ndarray) -> None:
    """Raises DataError unless the region's labels hold 0 and 1."""
    if fragment.labels is None:
        raise DataError(
            f"{fragment.name}: expected labels (inklabels.png or data.labels), none found"
        )
    share = float(fragment.labels[..., region_YX].mean())
    if not 0 < share < 1:
        raise DataError(
            f"{fragment.name}: the {which} region's labels are all {int(share)}: expected both 0 "
            "and 1; another data.seed, smaller data.block, or another fragment"
        )


def alike(train: Fragment, held: Fragment) -> None:
    """Raises DataError if voxels are of another type or window: one scale could not fit both."""
    want, other = (f.volume.dtype.newbyteorder("=") for f in (train, held))  # byte order is no type
    if want != other:
        raise DataError(
            f"{held.name}: expected voxels of {want} as in the training fragment, "
            f"received {other}: convert one of them (data convert --range)"
        )
    if train.window != held.window:
        raise DataError(
            f"{held.name}: expected the values' window {train.window} of the training fragment, "
            f"received {held.window}: name one data.range, or convert with one --range"
        )
