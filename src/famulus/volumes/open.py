"""Volumes with their mask and labels: a fragment's folder, TIFF, `.npy`, `.bricks`, OME-Zarr.

A fragment folder holds `surface_volume/00.tif ...` (or `layers/`), `mask.png` and `inklabels.png`.
Every slice's header is read before training starts, so that a missing, truncated or wrongly sized
one is named at once.

Shapes: Z Y X; axis 0 of a picture is y (rows), axis 1 is x. Labels: 0 or 1, YX or ZYX.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.data_folder import data_folder
from famulus.feed.progress import bar
from famulus.volumes.brick_writer import write_bricks
from famulus.volumes.bricks import SUFFIX, ArrayVolume, Bricks
from famulus.volumes.plane_files import read_plane
from famulus.volumes.readers import SLICES, Windows, reader_of

LABELS = ("inklabels.png", "labels.png", "*_inklabels.png")
MASKS = ("mask.png", "*_mask.png")


@dataclass(frozen=True)
class Fragment:
    """A volume, where it is papyrus, and what is written there."""

    name: str
    volume: ArrayVolume | Bricks | Windows
    mask: np.ndarray  # bool YX
    labels: np.ndarray | None = None  # uint8 YX or ZYX, 0 or 1
    truth: np.ndarray | None = None  # uint8 YX: exact, where it is known
    notes: list[str] = field(default_factory=list)

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
) -> Fragment:
    """Opens a volume of any known kind; `labels` and `mask` name files that lie elsewhere.

    `windows`: don't read it into memory, only what is asked for (`.npy`, OME-Zarr, `.bricks`).

    Raises DataError naming the file that is missing, truncated, of another size or depth.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(
            f"{path}: does not exist; expected a fragment folder, .tif, .npy or .bricks"
        )
    if path.suffix == SUFFIX:
        volume: Bricks | ArrayVolume | Windows
        volume = bricks = Bricks(path)
        found_mask, found_labels = bricks.extra("mask"), bricks.extra("labels")
    else:
        reader = reader_of(path)
        found_mask, found_labels = _beside(path, MASKS), _beside(path, LABELS)
        volume = reader.windows() if windows else reader.load()
    if mask:
        found_mask = read_plane(Path(mask))
    if labels:
        found_labels = _labels_file(Path(labels))
    return assemble(path.name, volume, found_mask, found_labels)


def located(name: str) -> Path:
    """A path as given, else below the data folder ($FAMULUS_DATA)."""
    path = Path(name).expanduser()
    inside = data_folder() / name
    return inside if not path.exists() and inside.exists() else path


def is_volume(path: Path) -> bool:
    """Whether a path is a volume by its name or by what stands in its folder."""
    kinds = (SUFFIX, ".npy", ".tif", ".tiff", ".zarr")
    inside = (*SLICES, ".zattrs", ".zarray", "zarr.json", ".zgroup")
    return path.suffix.lower() in kinds or any((path / name).exists() for name in inside)


def info(path: Path) -> dict[str, Any]:
    """What a volume holds; of bricks every byte is read and compared with its checksum.

    Raises DataError naming what is missing or damaged.
    """
    if path.suffix != SUFFIX:
        fragment = open_volume(path)
        volume = fragment.volume
        row = {"name": str(path), "fingerprint": fragment.fingerprint, "shape": volume.shape}
        return row | {"dtype": volume.dtype.name, "notes": fragment.notes}
    opened = Bricks(path)
    fragment = open_volume(path)
    bricks = len(opened.header["crc32"])
    with bar(path.name) as show:
        for done in opened.verifying():
            show(done, bricks)
    extras = " and ".join(opened.header["extras"]) or "neither mask nor labels"
    row = {
        "name": str(path),
        "fingerprint": fragment.fingerprint,
        "shape": opened.shape,
        "dtype": opened.dtype.name,
        "papyrus": f"{fragment.mask.mean():.1%} of the area",
    }
    if fragment.labels is not None:
        area = fragment.labels[..., fragment.mask]
        row["labels"] = f"{'x'.join(map(str, fragment.labels.shape))}, {area.mean():.1%} marked"
    row["checksums"] = f"sound: {bricks} brick{'s' * (bricks != 1)}, {extras}"
    return row | {"notes": opened.header["notes"]}


def assemble(
    name: str,
    volume: ArrayVolume | Bricks | Windows,
    mask: np.ndarray | None,
    labels: np.ndarray | None,
) -> Fragment:
    """Checks that the parts fit: one size, binary labels, a mask with something in it."""
    notes = []
    if mask is None:
        mask = np.ones(volume.shape[1:], bool)
        notes.append(f"{name}: no mask found: everything counts as papyrus")
    if mask.shape != volume.shape[1:]:
        raise DataError(
            f"{name}: mask: expected {volume.shape[1:]} (y, x) as the volume, received {mask.shape}"
        )
    if not mask.any():
        raise DataError(f"{name}: the mask is empty: expected at least one pixel of papyrus")
    if labels is not None:
        fits = labels.shape in (volume.shape, volume.shape[1:])
        if not fits:
            raise DataError(
                f"{name}: labels: expected {volume.shape[1:]} (y, x) or {volume.shape} as the "
                f"volume, received {labels.shape}"
            )
        labels = binary(labels, f"{name}: labels")
    return Fragment(name, volume, mask.astype(bool), labels, notes=notes)


def binary(picture: np.ndarray, where: str) -> np.ndarray:
    """uint8 0/1 from a picture of two levels (0/1, 0/255, bool). Raises DataError if more."""
    levels = np.unique(picture)
    if len(levels) > 2 or (len(levels) and levels[0] != 0):
        raise DataError(
            f"{where}: expected two levels of which one is 0, received {levels[:6].tolist()}"
        )
    return (picture > 0).astype(np.uint8)


def convert(
    source: Path,
    out: Path,
    labels: Path | None = None,
    mask: Path | None = None,
    dtype: str | None = None,
) -> Bricks:
    """Writes `source` once as bricks, with its mask and labels; piece by piece, never all in RAM.

    `dtype` is what the voxels are declared to be. Raises DataError as `open_volume` does.
    """
    reader = reader_of(Path(source))
    if dtype is not None and reader.dtype != np.dtype(dtype):
        raise DataError(f"{source}: declared {dtype}, received {reader.dtype}")
    found_mask = read_plane(Path(mask)) if mask else _beside(Path(source), MASKS)
    found_labels = _labels_file(Path(labels)) if labels else _beside(Path(source), LABELS)
    # Shape and type alone: whether the parts fit is known before a voxel is read.
    hollow = ArrayVolume(np.broadcast_to(np.zeros((), reader.dtype), reader.shape), "")
    checked = assemble(Path(source).name, hollow, found_mask, found_labels)
    extras = {"mask": checked.mask.astype(np.uint8), "labels": checked.labels}
    return write_bricks(
        Path(out), reader.pieces(), reader.shape, reader.dtype, extras=extras, notes=checked.notes
    )


def _beside(path: Path, patterns: tuple[str, ...]) -> np.ndarray | None:
    if not path.is_dir():
        return None
    for pattern in patterns:
        for file in sorted(path.glob(pattern)):
            return read_plane(file)
    return None


def _labels_file(path: Path) -> np.ndarray:
    """A picture (YX) or a stack of pages (ZYX)."""
    if path.suffix.lower() in (".tif", ".tiff"):
        array = reader_of(path).load().array
        return array[0] if len(array) == 1 else array
    return read_plane(path)
