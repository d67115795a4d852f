"""NIfTI volumes: read with limits, written whole or not at all.

Shapes: Z Y X, the reverse of the file's order (its first index runs fastest). Units: mm.
Source: NIfTI-1.1 standard; a code of 1 says that an affine leads to scanner coordinates.
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

LIMIT_BYTES = 8 << 30  # of one volume as float32; 1290^3
SCANNER = 1
VOLUMES = 24  # of working memory for an inversion

quiet_log("nibabel.global")


@dataclass(frozen=True)
class Volume:
    """A volume and where it lies. `scanner`: the affine leads to scanner coordinates."""

    values: np.ndarray  # float32 ZYX, or EZYX for a series
    affine: np.ndarray  # 4x4, from the file's index order to mm
    scanner: bool
    header: Any  # nibabel's, for what is written beside it
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


def read(path: Path, what: str = "volume", dimensions: int = 3) -> Volume:
    """Raises DataError, in one line, for a file that is missing, damaged, empty or too large."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{what} {path}: expected a NIfTI file, found none")
    try:
        image: Any = nibabel.load(path)  # of many classes; which one is asked below
        shape = tuple(int(n) for n in image.shape)
    except Exception as error:  # a damaged header raises many kinds
        raise DataError(f"{what} {path}: not a readable NIfTI file ({_first(error)})") from None
    if not isinstance(image, nibabel.Nifti1Image):
        raise DataError(f"{what} {path}: expected NIfTI, received {type(image).__name__}")
    if min(shape, default=0) < 1:
        raise DataError(f"{what} {path}: expected sizes above 0, received {_by(shape)}")
    # Many tools write a single volume as a series of one.
    while len(shape) > dimensions and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != dimensions:
        hint = ": give one echo, not a series" if len(shape) == 4 else ""
        raise DataError(f"{what} {path}: expected {dimensions}D, received {_by(shape)}{hint}")
    size = 4 * math.prod(shape)
    if size > limit_bytes():
        raise DataError(
            f"{what} {path}: {_by(shape)} takes {size / 1e9:.1f} GB, more than the "
            f"{limit_bytes() / 1e9:.1f} GB that fit here: crop or downsample it"
        )
    affine, scanner = _affine(image)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise DataError(f"{what} {path}: its affine spans no volume")
    try:
        # Unchanged: nibabel would keep a second copy of the volume with the image.
        # A slope beyond float32 gives infinity: that is to be seen in the values, not on stderr.
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))
    except Exception as error:  # truncated or damaged data
        raise DataError(f"{what} {path}: its data can't be read ({_first(error)})") from None
    values = np.ascontiguousarray(values.reshape(shape).T)
    return Volume(values, affine, scanner, image.header.copy(), path)


def of_array(values_ZYX: np.ndarray, voxel_zyx_mm: tuple[float, float, float]) -> Volume:
    """A volume that no file holds: its last axis is the scanner's x, its first the scanner's z."""
    affine = np.diag([*voxel_zyx_mm[::-1], 1.0])
    values = np.ascontiguousarray(values_ZYX, dtype=np.float32)
    return Volume(values, affine, True, nibabel.Nifti1Header(), Path("the array"))


def limit_bytes() -> int:
    """What a volume may take: an inversion holds some 20 at a time; at most LIMIT_BYTES."""
    free = free_bytes()
    return LIMIT_BYTES if free is None else min(LIMIT_BYTES, free // VOLUMES)


def _affine(image: Any) -> tuple[np.ndarray, bool]:
    """The affine to scanner coordinates if the file has one, else the one that it prefers."""
    sform, s_code = image.header.get_sform(coded=True)
    qform, q_code = image.header.get_qform(coded=True)
    if s_code == SCANNER:
        return np.asarray(sform, float), True
    if q_code == SCANNER:
        return np.asarray(qform, float), True
    return np.asarray(image.affine, float), False


def same_grid(first: Volume, second: Volume, what: str) -> None:
    """Raises DataError unless both have one shape and one affine (to a tenth of a voxel)."""
    a, b = first.shape[-3:], second.shape[-3:]
    if a != b:
        raise DataError(
            f"{what} {second.path}: expected the {_by(a[::-1])} voxels of {first.path}, "
            f"received {_by(b[::-1])}"
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
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    beside = path.with_name(f"{name}.json")
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
    if not path.parent.is_dir():
        raise ConfigError(f"-o {path}: expected a folder that exists, {path.parent} does not")
    if path.is_dir():
        raise ConfigError(f"-o {path}: expected a file, this is a folder")
    for other in inputs:
        if other is not None and _stem(path.resolve()) == _stem(Path(str(other)).resolve()):
            raise ConfigError(f"-o {path}: is an input, or would replace an input's sidecar")


def _stem(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii"))


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


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "nothing"


def _first(error: Exception) -> str:
    """The first line of an error, or its kind."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
