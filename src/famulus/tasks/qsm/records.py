"""A folder of training pairs on disk: looked through once, bad ones left out, replaced, counted.

A record is an .npz file with `field_ppm` and `chi_ppm`, float32 ZYX of one size.
"""

import hashlib
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from famulus.config.errors import DataError
from famulus.feed.data_folder import file_digest
from famulus.feed.streams import stream_seed
from famulus.tasks.qsm.dipole import Geometry, dipole_field
from famulus.tasks.qsm.phantoms import TISSUE_HZ, Truth, shapes

KEYS = ("field_ppm", "chi_ppm")
LIMIT_VOXELS = 1 << 27
FOLLOWS = 0.5  # correlation of a field with that of its own map: a crop also sees what is outside


@dataclass(frozen=True)
class Records:
    """`make(i)` is the i-th good record, or a generated replacement of the same size."""

    make: Callable[[int], Truth]
    count: int
    notes: list[str]
    digest: str


def write_record(path: Path, truth: Truth) -> None:
    np.savez_compressed(path, field_ppm=truth.field_ppm, chi_ppm=truth.chi_ppm)


def open_records(folder: Path, voxel_mm: float, seed: int) -> Records:
    """Raises DataError if there are none, or if input and target seem to be swapped."""
    paths = sorted(Path(folder).glob("*.npz"))
    if not paths:
        raise DataError(f"data.name {folder}: expected .npz records, found none")
    bad: dict[Path, str] = {}
    sizes: Counter[tuple[int, ...]] = Counter()
    shapes_of: dict[Path, tuple[int, ...]] = {}
    for path in paths:
        try:
            shapes_of[path] = _look(path)
            sizes[shapes_of[path]] += 1
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            bad[path] = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
    if not sizes:
        raise DataError(f"data.name {folder}: none of {len(paths)} records can be read")
    # the commonest: a batch holds one size, and one odd file must not decide which
    usual = sizes.most_common(1)[0][0]
    geometry = Geometry.aligned((voxel_mm,) * 3)
    swapped = 0
    for path, shape in shapes_of.items():
        if shape != usual:
            bad[path] = f"{shape} voxels, not {usual}"
            continue
        field, chi = _load(path)
        if not (np.isfinite(field).all() and np.isfinite(chi).all()):
            bad[path] = "NaN or Inf"
        elif not field.any() or not chi.any():
            bad[path] = "all 0"
        else:
            match, reverse = _follows(field, chi, geometry), _follows(chi, field, geometry)
            if reverse > max(match, FOLLOWS):  # D D chi is like chi, so the better of both decides
                bad[path], swapped = "field_ppm and chi_ppm are swapped", swapped + 1
            elif match < FOLLOWS:
                bad[path] = f"its field does not follow its map (correlation {match:.2f})"
    # most of them: a mistake of whoever wrote the folder, no damage
    if swapped > len(paths) / 2:
        raise DataError(
            f"data.name {folder}: field_ppm and chi_ppm are swapped in {swapped} of {len(paths)} "
            "records: the dipole field of field_ppm is chi_ppm"
        )
    notes = []
    if bad:
        first, why = next(iter(bad.items()))
        notes.append(
            f"{len(bad)} of {len(paths)} records left out and replaced by generated ones: "
            f"{first.name}: {why}" + (", ..." if len(bad) > 1 else "")
        )
    parts = [f"{p.name}:{file_digest(p)}" for p in paths]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def make(index: int) -> Truth:
        path = paths[index]
        # replaced, not skipped: the number of samples, and with it the order of training, stays
        if path in bad:
            return shapes(usual, stream_seed(seed, index), voxel_mm)
        field, chi = _load(path)
        ones = np.ones_like(chi)
        r2star = (TISSUE_HZ * ones).astype(np.float32)
        return Truth(chi, field, ones, ones, r2star, None, voxel_mm)

    return Records(make, len(paths), notes, digest)


def _look(path: Path) -> tuple[int, ...]:
    """Sizes from the headers alone."""
    # a file may claim any size: it is refused before memory is taken for it
    with zipfile.ZipFile(path) as archive:
        shapes = []
        for key in KEYS:
            with archive.open(f"{key}.npy") as file:
                version = np.lib.format.read_magic(file)
                if version != (1, 0):
                    raise ValueError(f"{key}: not a plain array")
                shape, _, kind = np.lib.format.read_array_header_1_0(file)
            # objects are pickles, which run code
            if kind.hasobject or kind.kind != "f":
                raise ValueError(f"{key}: expected numbers, received {kind}")
            if len(shape) != 3 or min(shape) < 1 or np.prod(shape, dtype=float) > LIMIT_VOXELS:
                raise ValueError(f"{key}: impossible size {shape}")
            shapes.append(shape)
    if shapes[0] != shapes[1]:
        raise ValueError(f"field of {shapes[0]} and map of {shapes[1]} voxels")
    return shapes[0]


def _load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return tuple(np.ascontiguousarray(archive[key], np.float32) for key in KEYS)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        # NaN, which the scan of all records finds and names.
        nothing = np.full((1, 1, 1), np.nan, np.float32)
        if not path.exists():
            raise DataError(f"{path}: {error}") from None
        return nothing, nothing


def _follows(field: np.ndarray, chi: np.ndarray, geometry: Geometry) -> float:
    """Correlation of a field with the dipole field of a map."""
    expected = dipole_field(torch.from_numpy(chi)[None], geometry)[0].numpy()
    return float(np.corrcoef(expected.ravel(), field.ravel())[0, 1])
