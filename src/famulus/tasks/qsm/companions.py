"""What belongs to a phase: its magnitude and its mask, brought onto its voxels and checked.

Shapes: Z Y X voxels, E echoes. Both may be files, or arrays of the phase's own voxels.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.tasks.qsm.stated_values import one_affine
from famulus.volumes import nifti
from famulus.volumes.nifti_affine import Form
from famulus.volumes.nifti_grid import onto


def finite_within(
    values: np.ndarray, inside: np.ndarray | None, path: Path, what: str, said: list[str]
) -> np.ndarray:
    """The values, 0 where they are NaN or Inf outside of a mask, which is said.

    Raises DataError where they are so within it, or if there is no mask.
    """
    bad = ~np.isfinite(values)
    count = int(bad.sum())
    if not count:
        return values
    within = count if inside is None else int((bad & inside).sum())
    if within:
        where = "" if inside is None else " within the mask"
        raise DataError(
            f"{what} {path}: {within:,} voxels are NaN or Inf{where}: set them to 0 and mask them"
        )
    said.append(f"{what} {path}: {count:,} voxels outside of the mask are NaN or Inf: set to 0")
    return np.where(bad, np.float32(0), values)


def mask_of(
    given: Any, like: nifti.Volume, form: Form | None, said: list[str]
) -> tuple[np.ndarray, str]:
    """(bool ZYX, where it is from). Without a mask: where `like` is not 0."""
    if given is None:
        inside = like.values != 0  # brain extraction leaves zeros outside
        where = f"phase {like.path} (no --mask: where it is not 0)"
        share = "all" if inside.all() else f"{inside.sum():,} of {inside.size:,}"
        said.append(f"no --mask was given: {share} voxels count, those where the phase is not 0")
        source = "where the phase is not 0"
    else:
        volume = _read(given, "mask", like, form)
        where = f"mask {volume.path}"
        shares = _shares(finite_within(volume.values, None, volume.path, "mask", said), where, said)
        inside, source = _onto(like, replace(volume, values=shares), "mask", said) > 0.5, "--mask"
    if not inside.any():
        raise DataError(f"{where}: is empty")
    return inside, source


def _shares(values: np.ndarray, where: str, said: list[str]) -> np.ndarray:
    """How much of a voxel counts, float32 in 0..1, of two levels, of probabilities or of labels."""
    low, high = float(values.min()), float(values.max())
    if low < 0:
        raise DataError(f"{where}: {low:.4g} is below 0: expected 0 and 1, or probabilities")
    if not ((values == 0) | (values == high)).all():
        if high <= 1 + 1e-3:
            said.append(f"{where} holds values between 0 and 1: above .5 counts")
            return values
        if (values != np.round(values)).any():
            raise DataError(
                f"{where}: expected 0 and 1, probabilities or labels, received fractions up to "
                f"{high:.4g}"
            )
        said.append(f"{where} holds whole numbers from 0 to {high:g}, as labels: all but 0 counts")
    return (values > 0).astype(np.float32)


def magnitude_of(
    given: Any, like: nifti.Volume, form: Form | None, said: list[str], echo: int | None
) -> np.ndarray:
    """float32 ZYX or EZYX of the voxels of `like`; `echo`: from 1, one of several in a file."""
    volume = _read(given, "magnitude", like, form)
    if np.iscomplexobj(volume.values):
        said.append(f"magnitude {volume.path}: its numbers are complex: absolute values are taken")
        volume = replace(volume, values=np.abs(volume.values))
    if echo is not None and volume.values.ndim == 4:
        volume = replace(volume, values=picked(volume.values, echo, "magnitude", volume.path))
    values = _onto(like, volume, "magnitude", said)
    finite = values[np.isfinite(values)]
    where = f"magnitude {volume.path}"
    if finite.size and finite.min() < 0:
        raise DataError(f"{where}: {finite.min():.4g} is negative: is it the phase?")
    return values


def _read(given: Any, what: str, like: nifti.Volume, form: Form | None) -> nifti.Volume:
    """A file, or an array that lies as `like`."""
    if isinstance(given, np.ndarray):
        if given.ndim != 3 or given.dtype.kind not in ("biufc" if what == "magnitude" else "biuf"):
            raise DataError(
                f"{what}: expected numbers Z Y X, received {given.dtype} of shape {given.shape}"
            )
        return replace(nifti.of_array(given, (1.0, 1.0, 1.0)), affine=like.affine)
    some = what == "magnitude"  # may be a series, or complex
    dimensions = (3, 4) if some else 3
    path = Path(str(given))
    volume = nifti.read(path, what, dimensions, form=form, form_needed=False, keep_complex=some)
    return one_affine(volume, what)


def _onto(like: nifti.Volume, volume: nifti.Volume, what: str, said: list[str]) -> np.ndarray:
    if volume.path == nifti.ARRAY:
        nifti.same_grid(like, volume, what)
        return volume.values
    values, how = onto(like, volume, what)
    if how:
        said.append(how)
    return values


def picked(values_EZYX: np.ndarray, echo: int, what: str, path: Path) -> np.ndarray:
    """One of several echoes, counted from 1. Raises DataError if there is none such."""
    if not 1 <= echo <= len(values_EZYX):
        raise DataError(f"{what} {path}: --echo {echo}: expected 1 to {len(values_EZYX)}")
    return values_EZYX[echo - 1]
