"""A volume on another's voxels, against functions of place that can be asked anywhere."""

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.volumes import nifti
from famulus.volumes.nifti_grid import onto
from tests.volumes.test_nifti import save as saved

SHAPE = (9, 8, 7)  # x, y, z


def places(shape, affine):
    """x, y, z in mm of each voxel: 3 X Y Z."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    return np.einsum("ab,bxyz->axyz", affine[:3, :3], index) + affine[:3, 3, None, None, None]


def linear(shape, affine):
    x, y, z = places(shape, affine)
    return 3 + x - 2 * y + 0.5 * z


def volume(path, shape, affine, values=None, code=1):
    values = linear(shape, affine) if values is None else values
    return nifti.read(saved(path, values, affine, code, code))


@pytest.fixture
def like(tmp_path):
    return volume(tmp_path / "like.nii", SHAPE, np.eye(4))


def axes(order, flips):
    """An affine whose axes run along the scanner's in another order, over the same box."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for column, (row, flip) in enumerate(zip(order, flips, strict=True)):
        affine[row, column] = -1 if flip else 1
        affine[row, 3] = SHAPE[row] - 1 if flip else 0
    return affine


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("flips", [(0, 0, 0), (1, 0, 0), (0, 1, 1)])
def test_axes_in_another_order_are_exact(tmp_path, like, order, flips):
    affine = axes(order, flips)
    other = volume(tmp_path / "other.nii", [SHAPE[i] for i in order], affine)
    values, said = onto(like, other, "mask")
    assert np.allclose(values.T, linear(SHAPE, np.eye(4)), atol=1e-5)
    assert bool(said) == (order != (0, 1, 2) or any(flips))


def test_echoes_are_turned_each(tmp_path, like):
    affine = axes((2, 0, 1), (1, 0, 0))
    shape = [SHAPE[i] for i in (2, 0, 1)]
    values = np.stack([linear(shape, affine), -linear(shape, affine)], -1)
    path = saved(tmp_path / "other.nii", values, affine)
    made, _ = onto(like, nifti.read(path, dimensions=4), "magnitude")
    assert np.allclose(made[0].T, linear(SHAPE, np.eye(4)), atol=1e-5)
    assert np.allclose(made[1], -made[0])


@pytest.mark.parametrize(
    ("shape", "affine"),
    [
        (SHAPE, [[1, 0, 0, 0.5], [0, 1, 0, -0.25], [0, 0, 1, 0]]),
        ((20, 18, 16), [[0.5, 0, 0, -0.5], [0, 0.5, 0, -0.5], [0, 0, 0.5, -0.5]]),
        ((20, 20, 20), [[0.8, 0.6, 0, -6], [-0.6, 0.8, 0, 0], [0, 0, 1, -5]]),
    ],
)
def test_what_is_linear_is_interpolated_exactly(tmp_path, like, shape, affine):
    affine = np.array([*affine, [0, 0, 0, 1]], float)
    made, said = onto(like, volume(tmp_path / "other.nii", shape, affine), "magnitude")
    assert "resampled linearly" in said
    inner = (slice(1, -1),) * 3  # within the last voxel of the other there is no neighbour
    assert np.allclose(made[inner], linear(SHAPE, np.eye(4)).T[inner], atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "affine", "says"),
    [
        (SHAPE, np.diag([1.3, 1.3, 1.3, 1]), "their affines differ"),
        ((8, 8, 7), np.eye(4), "9 x 8 x 7 voxels"),
        ((9, 8, 40), np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5], [0, 0, 0, 1]]), "voxels"),
    ],
)
def test_what_lies_elsewhere_is_refused(tmp_path, like, shape, affine, says):
    with pytest.raises(DataError, match=says):
        onto(like, volume(tmp_path / "other.nii", shape, affine), "mask")


def test_what_does_not_say_how_it_lies_is_taken_voxel_by_voxel(tmp_path, like):
    values = np.random.default_rng(0).normal(size=SHAPE)
    other = volume(tmp_path / "other.nii", SHAPE, np.diag([2.0, 2, 2, 1]), values, code=0)
    made, said = onto(like, other, "mask")
    assert np.allclose(made.T, values, atol=1e-6)
    assert "other.nii does not say how it lies" in said
    with pytest.raises(DataError, match="voxels"):
        onto(like, volume(tmp_path / "short.nii", (8, 8, 7), np.eye(4), code=0), "mask")
