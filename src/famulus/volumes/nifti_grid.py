"""One volume on the voxels of another: turned if it lies there in another order, else interpolated.

Shapes: Z Y X voxels, E echoes. Units: mm; indices in voxels.
"""

from itertools import product

import numpy as np
from scipy.ndimage import affine_transform

from famulus.config.errors import DataError
from famulus.volumes.nifti import Volume, by, same_grid

SAME = 0.1  # of a voxel, at the far corner: as `same_grid` has it
COVERED = 0.95  # of the voxels of one volume must lie within the other


def onto(like: Volume, volume: Volume, what: str) -> tuple[np.ndarray, str]:
    """(values float32 on the voxels of `like`, what was done with them or "").

    Flipped or permuted axes are put in order. Otherwise values are interpolated linearly and are 0
    beyond the volume. Raises DataError where `volume` does not cover `like`: an affine is wrong
    there more often than a scan is short.
    """
    if not (like.oriented and volume.oriented):
        return _in_order(like, volume, what)
    a, b = like.shape[-3:], volume.shape[-3:]
    # from indices x, y, z of `like` to those of `volume`; then tensor axes, which are reversed
    way = np.linalg.inv(volume.affine) @ like.affine
    matrix, offset = way[2::-1, 2::-1], way[2::-1, 3]
    if np.allclose(matrix, np.eye(3), atol=SAME / max(a)) and a == b and _small(offset):
        return volume.values, ""
    order = np.abs(matrix).argmax(1)  # of `like`, for each axis of `volume`
    exact = np.zeros((3, 3))
    exact[range(3), order] = np.sign(matrix[range(3), order])
    begin = np.where(exact.sum(1) < 0, np.array(b) - 1, 0)
    straight = sorted(order) == [0, 1, 2] and np.abs(matrix - exact).max() < SAME / max(a)
    if straight and tuple(np.array(a)[order]) == b and _small(offset - begin):
        values = np.flip(volume.values, tuple(int(i) - 3 for i in np.flatnonzero(begin)))
        lead = list(range(values.ndim - 3))
        values = np.transpose(values, [*lead, *(len(lead) + np.argsort(order))])
        return np.ascontiguousarray(values), (
            f"{what} {volume.path} is stored in another order of axes: turned, voxel by voxel"
        )
    inside = _inside(a, b, matrix, offset)
    # as many voxels elsewhere: more often a wrong affine than another scan
    if inside.mean() < COVERED or (a == b and _farthest(a, matrix, offset) > 1):
        same_grid(like, volume, what)  # says it, where shapes or places differ
        raise DataError(
            f"{what} {volume.path}: covers {100 * inside.mean():.0f} % of {like.path}: their "
            "affines differ, so resample one of them"
        )
    made = [
        affine_transform(v, matrix, offset, a, np.float32, order=1, mode="nearest") * inside
        for v in volume.values.reshape(-1, *b)
    ]
    apart = np.linalg.norm(_centre(like) - _centre(volume))
    return np.stack(made).reshape(*volume.shape[:-3], *a), (
        f"{what} {volume.path} has voxels of its own ({by(b[::-1])}, its centre {apart:.2g} mm "
        f"away): resampled linearly onto those of {like.path}"
    )


def _in_order(like: Volume, volume: Volume, what: str) -> tuple[np.ndarray, str]:
    """Voxel by voxel, where one of both does not say how it lies."""
    if like.shape[-3:] != volume.shape[-3:]:
        same_grid(like, volume, what)
    if like.oriented == volume.oriented and np.allclose(like.affine, volume.affine, atol=1e-3):
        return volume.values, ""
    which = like if volume.oriented else volume
    return volume.values, (
        f"{what} {volume.path} is taken voxel by voxel: {which.path} does not say how it lies"
    )


def _centre(volume: Volume) -> np.ndarray:
    """x, y, z in mm."""
    middle = (np.array(volume.shape[-3:])[::-1] - 1) / 2
    return volume.affine[:3, :3] @ middle + volume.affine[:3, 3]


def _small(offset: np.ndarray) -> bool:
    return bool(np.abs(offset).max() < SAME)


def _farthest(a: tuple[int, ...], matrix: np.ndarray, offset: np.ndarray) -> float:
    """How many voxels a corner of one grid is away from the same corner of another."""
    corners = np.array(list(product(*((0, n - 1) for n in a))), float)
    return float(np.abs(corners @ matrix.T + offset - corners).max())


def _inside(
    a: tuple[int, ...], b: tuple[int, ...], matrix: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """Which voxels of a grid `a` lie within a grid `b`, its outer edges included: bool ZYX."""
    inside = np.ones(a, bool)
    index = np.ogrid[tuple(slice(n) for n in a)]
    for axis in range(3):
        place = offset[axis] + sum(matrix[axis, i] * index[i] for i in range(3))
        inside &= (place > -0.5 - SAME) & (place < b[axis] - 0.5 + SAME)
    return inside
