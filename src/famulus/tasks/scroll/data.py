"""The `data` section of task scroll: which fragment, which cubes of it, what validates.

Units: lengths in voxels; a cube is one number or [z, y, x].
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import Field as Setting
from pydantic import field_validator

from famulus.config.errors import ConfigError
from famulus.config.schema import Strict, added
from famulus.feed.source import Splits
from famulus.tasks.scroll import cubes, regions
from famulus.tasks.scroll import validation_split as held_out
from famulus.tasks.scroll.block_pool import Blocks
from famulus.tasks.scroll.cube_field import describe, make_field
from famulus.tasks.scroll.papyrus import Phantom, PhantomDesign, make
from famulus.tasks.scroll.validation_split import Held
from famulus.volumes.bricks import Sizes
from famulus.volumes.open import Fragment, Part, located, open_volume

PHANTOM = "papyrus"


class ScrollPhantom(Strict):
    """The papyrus phantom; used where `name` is papyrus."""

    shape: list[int] = Setting([32, 256, 256], min_length=3, max_length=3, description="z, y, x")
    seed: int = Setting(0, description="another seed is another fragment")
    prevalence: float = Setting(0.12, gt=0, lt=0.6, description="share of the mask that is inked")
    letter: int = Setting(64, ge=8, description="height of a letter in voxels")
    strength: float = Setting(
        1.0, ge=0, description="factor on the three cues; 0 = no trace of ink"
    )
    density: float = Setting(0.1, description="of ink above papyrus, in sd of papyrus")
    relief: float = Setting(0.4, ge=0, description="voxels by which ink raises the surface")
    crackle: float = Setting(1.0, ge=0, description="of mud cracks in the ink, in sd of papyrus")

    def design(self, seed: int | None = None) -> PhantomDesign:
        fields = self.model_dump() | {"shape": tuple(self.shape)}
        return PhantomDesign(**(fields if seed is None else fields | {"seed": seed}))


class ScrollBlocks(Strict):
    """Blocks of the volume that are held in memory, for volumes that neither fit there nor can be
    mapped from a fast disk; see `tasks.scroll.block_pool`."""

    count: int = Setting(8, ge=1, description="blocks held; chance that two share one: 1/count")
    side: int = Setting(512, ge=1, description="of a block, in voxels; a multiple of the chunks'")
    draws: int = Setting(64, ge=1, description="cubes drawn from a block on average")


class ScrollData(Strict):
    """A fragment, cubes drawn from it, and what validates."""

    name: str = Setting("papyrus", description="papyrus (the phantom) or a path, see data convert")
    labels: str | None = Setting(None, description="path of labels that lie elsewhere")
    mask: str | None = Setting(None, description="path of a mask that lies elsewhere")
    phantom: ScrollPhantom = ScrollPhantom()
    validation: float | int | str | list[int] | list[str] = Setting(
        0.25,
        description="share in blocks, or another fragment: a phantom's seed (integer), a path; or "
        "a list of several seeds or paths",
    )
    validation_labels: str | list[str] | None = Setting(
        None, description="of validation fragments by path, as many"
    )
    block: int | None = Setting(
        None,
        ge=1,
        description="side of a block, the cube's at least; null = quarter of the shorter side",
    )
    gap: int | None = Setting(None, ge=0, description="between their cubes; null = the cube's side")
    cube: int | list[int] = Setting(32, description="side, or [z, y, x]; z = 1: planes, 2D nets")
    box: list[int] | None = Setting(None, description="only inside y0, x0, y1, x1")
    cover: float = Setting(1.0, gt=0, le=1, description="share of a cube inside the mask")
    edges: float = Setting(0.0, ge=0, le=1, description="share of cubes centred on an ink edge")
    weighted: bool = Setting(True, description="weigh pixels so that edges bias nothing")
    samples: int = Setting(4096, ge=1, description="cubes that count as an epoch; all are fresh")
    pool: int | None = Setting(None, ge=1, description="draw only so many, and show them again")
    reload: int | None = Setting(None, ge=1, description="inputs until the pool is drawn anew")
    most: int | None = Setting(None, ge=1, description="validation windows; null = all")
    scale: str = Setting(
        "zscore", pattern="^(zscore|range)$", description="of voxels: zscore|range"
    )
    augment: bool = Setting(False, description="quarter turns and mirrors in the plane")
    seed: int = Setting(0, description="of the blocked split")
    blocks: ScrollBlocks | None = added(
        None, "cubes come from blocks held in memory; null = from the file"
    )
    depths: int = added(1, "validation windows above one another; 1 = in the middle", ge=1)
    channel: int | None = added(None, "which of several channels of a file, from 0", ge=0)
    time: int | None = added(None, "which of several times of a file, from 0", ge=0)
    range: list[float] | None = added(
        None,
        "values [low, high] that become 0 and full range of uint16",
        min_length=2,
        max_length=2,
    )

    @field_validator("validation", mode="before")
    @classmethod
    def _several(cls, given: Any) -> Any:
        return held_out.several(given) if isinstance(given, list | tuple) else given

    @property
    def size(self) -> Sizes:
        cube = [self.cube] * 3 if isinstance(self.cube, int) else self.cube
        if len(cube) != 3 or cube[0] < 1 or min(cube[1:]) < 2:
            raise ConfigError(
                f"data.cube: expected a side or [z, y, x] >= 2 (z also 1), received {self.cube}"
            )
        return tuple(cube)  # type: ignore[return-value]


@dataclass(frozen=True)
class Scroll:
    """Opened and split, with what the model and the reports must know."""

    splits: Splits
    train: Fragment
    validation: tuple[Fragment, ...]
    scale: cubes.Scale
    prevalence: float | None  # of ink in the training region
    facts: dict[str, object]


@lru_cache(maxsize=4)
def phantom(design: PhantomDesign) -> Phantom:
    """Made once in a process; a few are kept."""
    return make(design)


@lru_cache(maxsize=64)
def _drawn(design: PhantomDesign) -> Fragment:
    """A phantom's fragment, half its memory: kept for all cells of an experiment with controls."""
    return phantom(design).fragment()


def open_scroll(d: ScrollData, inked: bool) -> Scroll:
    """Fragments, regions and sources. `inked`: labels with both values are needed.

    Raises DataError or ConfigError naming the field.
    """
    # a pool never reloaded is sound (an overfit test); a reload without a pool means nothing
    if (d.pool is None) != (d.reload is None) and d.pool is None:
        raise ConfigError("data.reload: needs data.pool: expected both or neither")
    if d.blocks and d.pool:
        raise ConfigError("data.blocks: a pool of cubes needs none: expected one of both")
    size = d.size
    train = _fragment(d.name, d, None, d.labels, d.mask)
    mask = regions.box_mask(train.mask, tuple(d.box) if d.box else None)  # type: ignore[arg-type]
    if isinstance(d.validation, float):
        # cubes nearer than their own side could share voxels with a window that validates
        gap = max(size[1:]) if d.gap is None else d.gap
        # a block must hold a window, and a quarter keeps both sides of the split in several places
        block = d.block or max(min(mask.shape) // 4, *size[1:])
        split = regions.split_blocks(mask, d.validation, gap, block, d.seed)
        room, train_YX = split.train_YX, mask & split.train_YX
        held = [Held(train, mask & split.held_YX, split.blocks)]
    else:
        # another fragment validates: nothing of this one must be kept away from it
        room, train_YX = None, mask
        held = [Held(other, other.mask) for other in _others(d)]
    for h in held:
        # one scale for all: a net that is applied elsewhere sees that scale too
        held_out.alike(train, h.fragment)
    field = make_field(train, train_YX, size, d.edges, d.cover, d.weighted, room)
    # of the training region only: the validation's grey levels must not be known
    scale = cubes.scale_of(train, train_YX, d.scale, _within(size))
    if inked:
        held_out.both_values("training", train, train_YX)
        for h in held:
            held_out.both_values("validation", h.fragment, h.region_YX)
    # at most half: a window is judged by pixels, and a strict cover would leave out the rim
    validation = held_out.windows(held, size, scale, min(d.cover, 0.5), d.most, d.seed, d.depths)
    sources = Splits(
        cubes.CubeSource(
            train,
            field,
            scale,
            d.samples,
            augment=d.augment,
            pool=d.pool,
            reload=d.reload,
            blocks=Blocks(**d.blocks.model_dump()) if d.blocks else None,
        ),
        validation,
        [*train.notes, *(n for h in held if h.fragment is not train for n in h.fragment.notes)],
    )
    prevalence = None
    if train.labels is not None:
        prevalence = float(train.labels[..., train_YX].mean())
    facts = describe(field)
    if len(held) > 1:
        facts["validation"] = f"{len(validation)} windows of {len(held)} fragments"
    return Scroll(sources, train, tuple(h.fragment for h in held), scale, prevalence, facts)


def _fragment(
    name: str, d: ScrollData, seed: int | None, labels: str | None, mask: str | None
) -> Fragment:
    if name == PHANTOM:
        return _drawn(d.phantom.design(seed))
    files = (located(labels) if labels else None, located(mask) if mask else None)
    part = Part(d.channel, d.time, d.range)
    return open_volume(located(name), *files, windows=d.blocks is not None, part=part)


def _others(d: ScrollData) -> list[Fragment]:
    """The fragments that validate, none of them the training fragment."""
    given = d.validation if isinstance(d.validation, list) else [d.validation]
    labels = d.validation_labels
    if isinstance(given[0], int):
        _check_seeds(given, d)
        return [_fragment(d.name, d, seed, None, None) for seed in given]
    files = labels if isinstance(labels, list) else [labels] * len(given)
    if len(files) != len(given) or (isinstance(labels, str) and len(given) > 1):
        received = len(files) if isinstance(labels, list) else "one file for all"
        raise ConfigError(
            f"data.validation_labels: expected a list of {len(given)}, one of each fragment in "
            f"data.validation, received {received}"
        )
    if PHANTOM in given:
        raise ConfigError(f"data.validation: another {PHANTOM} is named by its seed, an integer")
    # resolved: a link or a relative path would hide that training validates itself
    places = [located(str(path)).resolve() for path in given]
    for path, place in zip(given, places, strict=True):
        if d.name != PHANTOM and place == located(d.name).resolve():
            raise ConfigError(f"data.validation: {path} is the training fragment; take another")
        if places.count(place) > 1:
            raise ConfigError(f"data.validation: {path} is there twice: expected others only once")
    return [_fragment(str(path), d, None, f, None) for path, f in zip(given, files, strict=True)]


def _check_seeds(seeds: list[int], d: ScrollData) -> None:
    if d.name != PHANTOM:
        raise ConfigError(
            "data.validation: an integer is another phantom's seed, and data.name is no "
            f"phantom: expected a share as 0.25 or a path, received {seeds[0]}"
        )
    if d.phantom.seed in seeds:
        raise ConfigError(
            f"data.validation: {d.phantom.seed} is the training fragment's own seed; take another"
        )
    if d.validation_labels is not None:
        raise ConfigError(
            "data.validation_labels: a phantom brings its own labels: expected null, "
            f"received {d.validation_labels}"
        )


def _within(size: Sizes) -> Sizes:
    """A small cube: enough to measure grey levels with, and it fits wherever `size` does."""
    return tuple(min(n, 16) for n in size)  # type: ignore[return-value]
