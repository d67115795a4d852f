"""Volumes with their mask and labels: a fragment's folder, TIFF, `.npy`, `.bricks`, OME-Zarr.

A fragment folder holds `surface_volume/00.tif ...` (or `layers/`), `mask.png` and `inklabels.png`.
Every slice's header is read before training starts, so that a missing, truncated or wrongly sized
one is named at once.

Shapes: Z Y X; axis 0 of a picture is y (rows), axis 1 is x. Labels: 0 or 1, YX or ZYX.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from famulus.config.errors import DataError
from famulus.data.bricks import DTYPES, SUFFIX, Bricks, Flat, Sizes, empty_cubes, write_bricks

SLICES = ("surface_volume", "layers")
LABELS = ("inklabels.png", "labels.png", "*_inklabels.png")
MASKS = ("mask.png", "*_mask.png")
MAX_PIXELS = 4_000_000_000
MAX_RAM = 8 << 30  # bytes of a volume that is read into memory without conversion


@dataclass(frozen=True)
class Fragment:
    """A volume, where it is papyrus, and what is written there."""

    name: str
    volume: Flat | Bricks
    mask: np.ndarray  # bool YX
    labels: np.ndarray | None = None  # uint8 YX or ZYX, 0 or 1
    truth: np.ndarray | None = None  # uint8 YX: exact, where it is known
    notes: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        whole = hashlib.sha256(self.volume.fingerprint.encode())
        whole.update(np.packbits(self.mask).tobytes())
        if self.labels is not None:
            whole.update(np.ascontiguousarray(self.labels).tobytes())
        return whole.hexdigest()[:16]


def open_fragment(
    path: Path, labels: Path | str | None = None, mask: Path | str | None = None
) -> Fragment:
    """Opens a volume of any known kind; `labels` and `mask` name files that lie elsewhere.

    Raises DataError naming the file that is missing, truncated, of another size or depth.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(
            f"{path}: does not exist; expected a fragment folder, .tif, .npy or .bricks"
        )
    if path.suffix == SUFFIX:
        opened = Bricks(path)
        volume, found_mask, found_labels = opened, opened.extra("mask"), opened.extra("labels")
    else:
        reader = _reader(path)
        found_mask, found_labels = _beside(path, MASKS), _beside(path, LABELS)
        volume = reader.load()
    if mask:
        found_mask = read_plane(Path(mask))
    if labels:
        found_labels = _labels_file(Path(labels))
    return assemble(path.name, volume, found_mask, found_labels)


def assemble(
    name: str, volume: Flat | Bricks, mask: np.ndarray | None, labels: np.ndarray | None
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


def read_plane(path: Path) -> np.ndarray:
    """One picture as it is, YX. Raises DataError naming the file."""
    try:
        with Image.open(path, formats=("PNG", "TIFF", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{path}: {image.size} is over the limit of {MAX_PIXELS} pixels")
            array = np.asarray(image.convert("L") if image.mode in ("RGB", "RGBA", "P") else image)
    except FileNotFoundError as error:
        raise DataError(f"{path}: does not exist") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return array


def convert(
    source: Path,
    out: Path,
    labels: Path | None = None,
    mask: Path | None = None,
    dtype: str | None = None,
) -> Bricks:
    """Writes `source` once as bricks, with its mask and labels; plane by plane, never all in RAM.

    `dtype` is what the voxels are declared to be. Raises DataError as `open_fragment` does.
    """
    reader = _reader(Path(source))
    if dtype is not None and reader.dtype != np.dtype(dtype):
        raise DataError(f"{source}: declared {dtype}, received {reader.dtype}")
    found_mask = read_plane(Path(mask)) if mask else _beside(Path(source), MASKS)
    found_labels = _labels_file(Path(labels)) if labels else _beside(Path(source), LABELS)
    hollow = Flat(np.broadcast_to(np.zeros((), reader.dtype), reader.shape), "")
    checked = assemble(Path(source).name, hollow, found_mask, found_labels)
    extras = {"mask": checked.mask.astype(np.uint8), "labels": checked.labels}
    return write_bricks(
        Path(out), reader.planes(), reader.shape, reader.dtype, extras=extras, notes=checked.notes
    )


class _Reader:
    """A source whose shape and type are known, and which gives its planes one by one."""

    path: Path
    shape: Sizes
    dtype: np.dtype

    def planes(self) -> Iterator[np.ndarray]:
        raise NotImplementedError

    def load(self) -> Flat:
        size = int(np.prod(self.shape)) * self.dtype.itemsize
        if size > MAX_RAM:
            raise DataError(
                f"{self.path}: {size / 1e9:.1f} GB: write it as bricks first "
                f"(famulus data convert {self.path} NAME{SUFFIX})"
            )
        array, digest = empty_cubes(1, self.shape, self.dtype)[0], hashlib.sha256()
        for z, plane in enumerate(self.planes()):
            if self.dtype.kind == "f" and not np.isfinite(plane).all():
                raise DataError(f"{self.path}: plane {z} holds NaN or infinite voxels")
            array[z] = plane
            digest.update(np.ascontiguousarray(plane).tobytes())
        return Flat(array, digest.hexdigest()[:16])


class _Slices(_Reader):
    """A folder of numbered TIFF slices."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        numbered = {}
        for file in folder.iterdir():
            if match := re.fullmatch(r"(\d+)\.tiff?", file.name, re.IGNORECASE):
                numbered[int(match[1])] = file
        if not numbered:
            raise DataError(f"{folder}: expected slices 00.tif, 01.tif, ..., received none")
        first = min(numbered)
        missing = sorted(set(range(first, max(numbered) + 1)) - set(numbered))
        if missing:
            raise DataError(
                f"{folder}: slice {missing[0]:02d}.tif is missing ({len(missing)} in all)"
            )
        self.files = [numbered[i] for i in sorted(numbered)]
        shape, self.dtype = _tiff_header(self.files[0])
        for file in self.files[1:]:
            other, dtype = _tiff_header(file)
            if other != shape or dtype != self.dtype:
                raise DataError(
                    f"{file}: expected {shape} {self.dtype} as {self.files[0].name}, "
                    f"received {other} {dtype}"
                )
        self.shape = (len(self.files), *shape)

    def planes(self) -> Iterator[np.ndarray]:
        for file in self.files:
            yield _tiff(lambda file=file: tifffile.imread(file), file)


class _Pages(_Reader):
    """A TIFF of many pages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _tiff(lambda: tifffile.TiffFile(path), path) as file:
            page = file.pages[0]
            self.dtype, sizes = page.dtype, page.shape
            count = len(file.pages)
            if count == 1 and len(file.series[0].shape) == 3:  # one page that holds a stack
                count, *sizes = file.series[0].shape
        _known(self.dtype, path)
        if len(sizes) != 2:
            raise DataError(f"{path}: expected grey pages (y, x), received {tuple(sizes)}")
        self.shape = (count, *sizes)

    def planes(self) -> Iterator[np.ndarray]:
        with tifffile.TiffFile(self.path) as file:
            if len(file.pages) == 1 and self.shape[0] > 1:
                yield from _tiff(file.asarray, self.path)
                return
            for page in file.pages:
                plane = _tiff(page.asarray, self.path)
                if plane.shape != self.shape[1:]:
                    raise DataError(
                        f"{self.path}: page {page.index}: expected {self.shape[1:]}, "
                        f"received {plane.shape}"
                    )
                yield plane


class _Npy(_Reader):
    """A `.npy` volume, mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: cannot be read ({error})") from error
        if self.array.ndim != 3:
            raise DataError(f"{path}: expected 3 axes (z, y, x), received {self.array.shape}")
        self.shape, self.dtype = self.array.shape, self.array.dtype
        _known(self.dtype, path)

    def planes(self) -> Iterator[np.ndarray]:
        yield from self.array


class _Zarr(_Reader):
    """The finest level of an OME-Zarr, or a plain Zarr array. Needs the extra `zarr`."""

    def __init__(self, path: Path) -> None:
        try:
            import zarr
        except ImportError as error:
            raise DataError(f"{path}: reading Zarr needs the package zarr: install it") from error
        self.path = path
        try:
            opened: Any = zarr.open(str(path), mode="r")
            if not hasattr(opened, "dtype"):
                scales = opened.attrs["multiscales"][0]["datasets"]
                opened = opened[scales[0]["path"]]
        except Exception as error:
            raise DataError(f"{path}: cannot be read as OME-Zarr ({error})") from error
        self.array = opened
        self.shape, self.dtype = tuple(opened.shape[-3:]), np.dtype(opened.dtype)
        if any(n != 1 for n in opened.shape[:-3]) or len(self.shape) != 3:
            raise DataError(f"{path}: expected (z, y, x), received {opened.shape}")
        _known(self.dtype, path)

    def planes(self) -> Iterator[np.ndarray]:
        lead = (0,) * (len(self.array.shape) - 3)
        deep = self.array.chunks[-3]
        for z in range(0, self.shape[0], deep):  # a chunk's planes together: each is read once
            yield from np.asarray(self.array[(*lead, slice(z, z + deep))])


def _reader(path: Path) -> _Reader:
    if path.is_dir():
        for name in SLICES:
            if (path / name).is_dir():
                return _Slices(path / name)
        if any((path / name).exists() for name in (".zattrs", ".zarray", "zarr.json", ".zgroup")):
            return _Zarr(path)
        if any(path.glob("[0-9]*.tif")):
            return _Slices(path)
        raise DataError(f"{path}: expected surface_volume/ or layers/ with 00.tif, ...; found none")
    if path.suffix.lower() in (".tif", ".tiff"):
        return _Pages(path)
    if path.suffix.lower() == ".npy":
        return _Npy(path)
    raise DataError(f"{path}: expected a folder, .tif, .npy, .zarr or {SUFFIX}")


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
        array = _reader(path).load().array
        return array[0] if len(array) == 1 else array
    return read_plane(path)


def _tiff_header(file: Path) -> tuple[tuple[int, int], np.dtype]:
    with _tiff(lambda: tifffile.TiffFile(file), file) as opened:
        page = opened.pages[0]
        _known(page.dtype, file)
        if len(page.shape) != 2:
            raise DataError(f"{file}: expected a grey slice (y, x), received {page.shape}")
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        size = file.stat().st_size
        if not ends or max(ends) > size:
            raise DataError(
                f"{file}: truncated: expected {max(ends, default=0)} bytes, found {size}"
            )
        return page.shape, page.dtype


def _tiff(work, path: Path):
    """What `work` returns; what tifffile raises becomes a DataError that names the file."""
    try:
        return work()
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: cannot be read as TIFF ({error})") from error


def _known(dtype: np.dtype | None, path: Path) -> None:
    if dtype is None or np.dtype(dtype).name not in DTYPES:
        raise DataError(f"{path}: expected voxels of {', '.join(DTYPES)}, received {dtype}")
