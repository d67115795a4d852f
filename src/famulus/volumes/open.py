"""Volumes with their mask and labels: a fragment's folder, or a file of any known kind.

A fragment folder holds `surface_volume/00.tif ...` (or `layers/`), `mask.png` and `inklabels.png`.
What a file holds beside voxels, and what was done to them, stands in a fragment's notes.

Shapes: Z Y X; axis 0 of a picture is y (rows), axis 1 is x. Labels: 0 or 1, YX or ZYX.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.data_folder import data_folder
from famulus.volumes import memory
from famulus.volumes.brick_writer import write_bricks
from famulus.volumes.bricks import MAX_BYTES, SUFFIX, ArrayVolume, Bricks
from famulus.volumes.kinds import EXPECTED, reader_of
from famulus.volumes.mask_files import two_levels
from famulus.volumes.range_in_use import range_note, sampled
from famulus.volumes.reader import Stored, Windows, converted, limits_of
from famulus.volumes.values import Window, checked, values_for

LABELS = ("inklabels.*", "labels.*", "*_inklabels.*")
MASKS = ("mask.*", "*_mask.*")
ENDINGS = (".png", ".tif", ".tiff")


@dataclass(frozen=True)
class Part:
    """Which part of a file is the volume, and which of its values become full range."""

    channel: int | None = None
    time: int | None = None
    range: Sequence[float] | None = None

    @property
    def window(self) -> Window | None:
        return None if self.range is None else checked(tuple(self.range))


WHOLE = Part()


@dataclass(frozen=True)
class Fragment:
    """A volume, where it is papyrus, and what is written there."""

    name: str
    volume: ArrayVolume | Bricks | Windows
    mask: np.ndarray  # bool YX
    labels: np.ndarray | None = None  # uint8 YX or ZYX, 0 or 1
    truth: np.ndarray | None = None  # uint8 YX: exact, where it is known
    notes: list[str] = field(default_factory=list)
    window: Window | None = None  # the source's values at 0 and at full range, if declared

    @property
    def fingerprint(self) -> str:
        whole = hashlib.sha256(self.volume.fingerprint.encode())
        # Packed: a mask of bools takes a byte for each pixel of a fragment.
        whole.update(np.packbits(self.mask).tobytes())
        if self.labels is not None:
            whole.update(np.ascontiguousarray(self.labels).tobytes())
        return whole.hexdigest()[:16]


def open_volume(
    path: Path,
    labels: Path | str | None = None,
    mask: Path | str | None = None,
    *,
    windows: bool = False,
    part: Part = WHOLE,
) -> Fragment:
    """Opens a volume of any known kind; `labels` and `mask` name files that lie elsewhere.

    `windows`: don't read it into memory, only what is asked for (`.npy`, OME-Zarr, `.bricks`).

    Raises DataError naming the file that is missing, truncated, of another size or depth.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: does not exist; expected {EXPECTED}")
    extras: dict[str, tuple[np.ndarray | None, list[str]]]
    if path.suffix == SUFFIX:
        volume, window, notes = _opened_bricks(path, part)
        extras = {name: (Bricks(path).extra(name), []) for name in ("mask", "labels")}
    else:
        reader = stored(path, part, measured=not windows)
        volume = reader.windows() if windows else reader.load()
        window, notes = reader.window, reader.notes
        extras = {"mask": beside(path, MASKS, strict=False), "labels": beside(path, LABELS)}
    if mask:
        extras["mask"] = two_levels(Path(mask), reader_of, strict=False)
    if labels:
        extras["labels"] = two_levels(Path(labels), reader_of, strict=True)
    (mask_YX, of_mask), (labels_YX, of_labels) = extras["mask"], extras["labels"]
    found = [*notes, *of_mask, *of_labels]
    if note := range_note(path.name, volume.dtype, lambda: sampled(volume)):
        found.append(note)
    return assemble(path.name, volume, mask_YX, labels_YX, found, window)


def stored(path: Path, part: Part = WHOLE, *, measured: bool = True) -> Stored:
    """The reader of a foreign volume whose voxels come as they are stored.

    `measured`: the whole volume may be read to learn its range, where that decides.
    """
    reader = reader_of(path, part.channel, part.time)

    def limits() -> Window:
        return limits_of(reader) if measured else sampled(reader.windows())

    return Stored(reader, values_for(path, reader.dtype, part.window, limits))


def _opened_bricks(
    path: Path, part: Part
) -> tuple[Bricks | ArrayVolume | Windows, Window | None, list[str]]:
    bricks = Bricks(path)
    for key in ("channel", "time"):
        if getattr(part, key):
            raise DataError(f"{path}: data.{key}: was chosen when it was converted: leave it out")
    if part.window in (None, bricks.window):
        return bricks, bricks.window, bricks.notes
    if bricks.window is not None:
        raise DataError(
            f"{path}: data.range: was converted with {list(bricks.window)}, received "
            f"{list(part.window)}: leave it out, or convert again"
        )
    values = values_for(path, bricks.dtype, part.window, lambda: sampled(bricks))
    return converted(bricks, values), part.window, [*bricks.notes, f"{path.name}: {values.note}"]


def has_window(path: Path) -> bool:
    """Whether a volume was converted with a window of its own."""
    return path.suffix == SUFFIX and Bricks(path).window is not None


def located(name: str) -> Path:
    """A path as given, else below the data folder ($FAMULUS_DATA)."""
    path = Path(name).expanduser()
    inside = data_folder() / name
    return inside if not path.exists() and inside.exists() else path


def assemble(
    name: str,
    volume: ArrayVolume | Bricks | Windows,
    mask: np.ndarray | None,
    labels: np.ndarray | None,
    notes: Sequence[str] = (),
    window: Window | None = None,
) -> Fragment:
    """Checks that the parts fit: one size, a mask with something in it."""
    notes = list(notes)
    if mask is None:
        memory.must_fit(Path(name), volume.shape[1:], np.dtype(bool), "it has no mask: crop it")
        mask = np.ones(volume.shape[1:], bool)
        notes.append(f"{name}: no mask found: every voxel counts")
    if mask.shape != volume.shape[1:]:
        raise DataError(
            f"{name}: mask: expected {volume.shape[1:]} (y, x) as the volume, received {mask.shape}"
        )
    if not mask.any():
        raise DataError(f"{name}: the mask is empty: expected at least one pixel of papyrus")
    if labels is not None and labels.shape not in (volume.shape, volume.shape[1:]):
        raise DataError(
            f"{name}: labels: expected {volume.shape[1:]} (y, x) or {volume.shape} as the "
            f"volume, received {labels.shape}"
        )
    # A byte for each pixel of a fragment: 0 and 1 of uint8 are bools as they lie there.
    levels = mask.dtype == np.uint8 and mask.max() == 1
    mask = mask.view(bool) if levels else mask.astype(bool, copy=False)
    return Fragment(name, volume, mask, labels, notes=notes, window=window)


def convert(
    source: Path,
    out: Path,
    labels: Path | None = None,
    mask: Path | None = None,
    dtype: str | None = None,
    part: Part = WHOLE,
) -> Bricks:
    """Writes `source` once as bricks, with its mask and labels; piece by piece, never all in RAM.

    `dtype` is what the voxels are declared to be. Raises DataError as `open_volume` does.
    """
    source = Path(source)
    reader = stored(source, part)
    if dtype is not None and reader.dtype != _known(dtype):
        raise DataError(f"{source}: declared {dtype}, received {reader.dtype}")
    read = partial(two_levels, read=reader_of)
    mask_YX, of_mask = (
        read(Path(mask), strict=False) if mask else beside(source, MASKS, strict=False)
    )
    labels_YX, of_labels = read(Path(labels), strict=True) if labels else beside(source, LABELS)
    reader.check_length()
    if (size := math.prod(reader.shape) * reader.dtype.itemsize) > MAX_BYTES:
        raise DataError(
            f"{source}: {memory.by(reader.shape)} takes {size / 1e9:.3g} GB, more than the "
            f"{MAX_BYTES / 1e9:.3g} GB of bricks: crop it"
        )
    # Shape and type alone: whether the parts fit is known before a voxel is read.
    hollow = ArrayVolume(np.broadcast_to(np.zeros((), reader.dtype), reader.shape), "")
    found = [*reader.notes, *of_mask, *of_labels]
    checked_parts = assemble(source.name, hollow, mask_YX, labels_YX, found)
    extras = {"mask": checked_parts.mask.view(np.uint8), "labels": checked_parts.labels}
    return write_bricks(
        Path(out), reader.pieces(), reader.shape, reader.dtype, extras=extras,
        notes=checked_parts.notes, window=reader.window,
    )  # fmt: skip


def _known(dtype: str) -> np.dtype:
    try:
        return np.dtype(dtype)
    except TypeError as error:
        raise DataError(f"--dtype: expected uint8, uint16 or float32, received {dtype}") from error


def beside(
    path: Path, patterns: tuple[str, ...], *, strict: bool = True
) -> tuple[np.ndarray | None, list[str]]:
    """The mask or labels in a fragment's folder, and notes; what else is called so is named."""
    if not path.is_dir():
        return None, []
    files = [
        file
        for pattern in patterns
        for file in sorted(path.glob(pattern))
        if file.suffix.lower() in ENDINGS
    ]
    files = list(dict.fromkeys(files))
    if not files:
        return None, []
    array, notes = two_levels(files[0], reader_of, strict=strict)
    if others := ", ".join(file.name for file in files[1:4]):
        notes = [*notes, f"{path.name}: {files[0].name} is taken, not {others}"]
    return array, notes
