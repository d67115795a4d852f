"""NIfTI volumes: read with limits, written whole or not at all.

One file (.nii), or a pair of header and voxels (.hdr, .img), which may be Analyze 7.5, too.

Shapes: Z Y X, the reverse of the file's order (its first index runs fastest). Units: mm.
Source: NIfTI-1.1 standard; which affine is meant: `volumes.nifti_affine`.
"""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.feed.quiet import quiet_log
from famulus.volumes.memory import free_bytes
from famulus.volumes.nifti_affine import Form, placed

LIMIT_BYTES = 8 << 30  # of one volume as float32; 1290^3
SUFFIXES = (".nii.gz", ".nii", ".hdr.gz", ".img.gz", ".hdr", ".img")
HALVES = {".hdr": ".img", ".img": ".hdr"}
ARRAY = Path("the array")  # instead of a file
VOLUMES = 24  # of working memory for an inversion

quiet_log("nibabel.global")


@dataclass(frozen=True)
class Volume:
    """A volume and where it lies. `scanner`: the affine leads to scanner coordinates; `oriented`:
    the file says where it leads; `conflict`: in what its two affines contradict, or ""."""

    values: np.ndarray  # float32 ZYX, or EZYX for a series; complex64 where that was asked for
    affine: np.ndarray  # 4x4, from the file's index order to mm
    scanner: bool
    header: Any  # nibabel's, for what is written beside it
    path: Path
    oriented: bool = True
    conflict: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


def read(
    path: Path,
    what: str = "volume",
    dimensions: int | tuple[int, ...] = 3,
    *,
    form: Form | None = None,
    form_needed: bool = True,
    keep_complex: bool = False,
) -> Volume:
    """A volume, or a series of them; `form`: the affine that is meant, where a file has two; one
    that has only the other is an error, unless `form_needed` is False.

    Raises DataError, in one line, for a file that is missing, damaged, empty or too large, or that
    holds no real numbers (complex ones are welcome with `keep_complex`).
    """
    path = Path(path)
    _must_be_there(path, what)
    wanted = (dimensions,) if isinstance(dimensions, int) else dimensions
    try:
        image: Any = nibabel.load(path)  # of many classes; which one is asked below
        shape = tuple(int(n) for n in image.shape)
    except Exception as error:  # a damaged header raises many kinds
        raise DataError(f"{what} {path}: not a readable NIfTI file ({_first(error)})") from None
    if not isinstance(image, nibabel.Nifti1Pair | nibabel.AnalyzeImage):
        raise DataError(f"{what} {path}: expected NIfTI, received {type(image).__name__}")
    if min(shape, default=0) < 1:
        raise DataError(f"{what} {path}: expected sizes above 0, received {by(shape)}")
    # Many tools write a single volume as a series of one.
    while len(shape) > min(wanted) and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in wanted:
        hint = ": give one echo, not a series" if len(shape) == 4 else ""
        expected = " or ".join(f"{n}D" for n in wanted)
        raise DataError(f"{what} {path}: expected {expected}, received {by(shape)}{hint}")
    kind = image.get_data_dtype().kind
    if kind not in ("biufc" if keep_complex else "biuf"):
        held = "complex numbers" if kind == "c" else "colours"
        raise DataError(f"{what} {path}: expected real numbers, received {held}")
    size = (8 if kind == "c" else 4) * math.prod(shape)
    if size > limit_bytes():
        raise DataError(
            f"{what} {path}: {by(shape)} takes {size / 1e9:.1f} GB, more than the "
            f"{limit_bytes() / 1e9:.1f} GB that fit here: crop or downsample it"
        )
    try:
        place = placed(image, form, form_needed)
    except ValueError as error:  # damaged, or without the form that was named
        raise DataError(f"{what} {path}: {_first(error)}") from None
    affine = place.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise DataError(f"{what} {path}: its affine spans no volume")
    try:
        # A slope beyond float32 gives infinity: that is to be seen in the values, not on stderr.
        with np.errstate(over="ignore", invalid="ignore"):
            values = _values(image, kind)
    except Exception as error:  # truncated or damaged data
        raise DataError(f"{what} {path}: its data can't be read ({_first(error)})") from None
    values = np.ascontiguousarray(values.reshape(shape).T)
    header = image.header.copy()
    return Volume(values, affine, place.scanner, header, path, place.oriented, place.conflict)


def _values(image: Any, kind: str) -> np.ndarray:
    if kind == "c":
        return np.asanyarray(image.dataobj).astype(np.complex64)
    # Unchanged: nibabel would keep a second copy of the volume with the image.
    return np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))


def _must_be_there(path: Path, what: str) -> None:
    """Raises DataError for a folder, for nothing, and for half of a pair."""
    # not of Path: a name that is too long is no file, and no error of the system
    if os.path.isdir(path):
        raise DataError(f"{what} {path}: expected a NIfTI file, this is a folder")
    if not os.path.isfile(path):
        raise DataError(f"{what} {path}: expected a NIfTI file, found none")
    packed = path.suffix == ".gz"
    name = path.with_suffix("") if packed else path
    if name.suffix in HALVES:
        other = name.with_suffix(HALVES[name.suffix] + (".gz" if packed else ""))
        if not other.is_file():
            raise DataError(f"{what} {path}: expected {other.name} beside it, found none")


def of_array(values_ZYX: np.ndarray, voxel_zyx_mm: tuple[float, float, float]) -> Volume:
    """A volume that no file holds: its last axis is the scanner's x, its first the scanner's z."""
    affine = np.diag([*voxel_zyx_mm[::-1], 1.0])
    kind = np.complex64 if np.iscomplexobj(values_ZYX) else np.float32
    values = np.ascontiguousarray(values_ZYX, dtype=kind)
    return Volume(values, affine, True, nibabel.Nifti1Header(), ARRAY)


def limit_bytes() -> int:
    """What a volume may take: an inversion holds some 20 at a time; at most LIMIT_BYTES."""
    free = free_bytes()
    return LIMIT_BYTES if free is None else min(LIMIT_BYTES, free // VOLUMES)


def same_grid(first: Volume, second: Volume, what: str) -> None:
    """Raises DataError unless both have one shape and one affine (to a tenth of a voxel)."""
    a, b = first.shape[-3:], second.shape[-3:]
    if a != b:
        raise DataError(
            f"{what} {second.path}: expected the {by(a[::-1])} voxels of {first.path}, "
            f"received {by(b[::-1])}"
        )
    voxel = np.linalg.norm(first.affine[:3, :3], axis=0).min()
    corner = np.array([*a[::-1], 1.0])
    apart = np.abs(first.affine - second.affine) @ corner
    if apart[:3].max() > 0.1 * voxel:
        raise DataError(
            f"{what} {second.path}: lies {apart[:3].max():.2g} mm away from {first.path}: their "
            "affines differ, so resample one of them"
        )


def sidecar(path: Path) -> dict[str, Any]:
    """What the JSON file beside a NIfTI says; {} if there is none."""
    stem = stem_of(path)
    beside = stem.with_name(f"{stem.name}.json")
    if not beside.is_file():
        return {}
    try:
        if beside.stat().st_size > 1 << 20:
            raise ValueError("larger than 1 MB")
        content = json.loads(beside.read_text("utf-8"))
        if not isinstance(content, dict):
            raise ValueError("not an object")
    # too many digits, or too deep, for the reader of JSON
    except (ValueError, RecursionError) as error:
        raise DataError(f"{beside}: not a readable JSON sidecar ({_first(error)})") from None
    return content


def may_be_written(path: Path, inputs: Iterable[Any] = ()) -> None:
    """Raises ConfigError for a wrong name, a folder that is not there, or one of the inputs.

    To be asked before anything is computed.
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ConfigError(f"-o {path}: expected a name that ends in .nii or .nii.gz")
    if not os.path.isdir(path.parent):
        raise ConfigError(f"-o {path}: expected a folder that exists, {path.parent} does not")
    if os.path.isdir(path):
        raise ConfigError(f"-o {path}: expected a file, this is a folder")
    for other in inputs:
        if other is not None and stem_of(path.resolve()) == stem_of(Path(str(other)).resolve()):
            raise ConfigError(f"-o {path}: is an input, or would replace an input's sidecar")


def stem_of(path: Path) -> Path:
    """The path without the ending of a NIfTI."""
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), "")
    return path.with_name(path.name[: -len(suffix)]) if path.name[: -len(suffix)] else path


def write(path: Path, values_ZYX: np.ndarray, like: Volume, facts: dict[str, Any]) -> None:
    """float32 NIfTI with the affine and codes of `like`, and its JSON sidecar.

    Both are written aside and renamed when they are whole.
    """
    path = Path(path)
    may_be_written(path)
    header = like.header.copy()
    header.set_data_dtype(np.float32)
    # What is written are the values themselves, without the scale of the input's file.
    header.set_slope_inter(1.0, 0.0)
    # A viewer would show the map within the input's grey levels.
    header["cal_min"] = header["cal_max"] = 0
    # No affine beside the header, whose codes nibabel would then reset.
    image = nibabel.Nifti1Image(values_ZYX.T.astype(np.float32, copy=False), None, header)
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    # The ending stays: by it nibabel decides whether to compress.
    suffix = path.name[len(name) :]
    partial = path.with_name(f".{name}.partial{suffix}")
    partial_json = path.with_name(f".{name}.partial.json")
    try:
        nibabel.save(image, partial)
        partial_json.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        os.replace(partial, path)
        os.replace(partial_json, path.with_name(f"{name}.json"))
    except OSError as error:
        raise DataError(f"-o {path}: can't be written ({_first(error)})") from None
    finally:
        partial.unlink(missing_ok=True)
        partial_json.unlink(missing_ok=True)


def by(shape: tuple[int, ...]) -> str:
    """`3 x 4 x 5`."""
    return " x ".join(map(str, shape)) or "nothing"


def _first(error: Exception) -> str:
    """The first line of an error, or its kind."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
