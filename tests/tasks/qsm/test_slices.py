"""Pictures of volumes, pixel by pixel: whole slices, up is up, nothing stretched."""

import numpy as np

from famulus.tasks.qsm.slices import kernel_slices, three_slices


def test_three_whole_slices_in_the_middle_of_their_squares():
    """7 x 4 x 6 voxels: squares of 7, each slice from its first to its last row and column."""
    volume = np.random.default_rng(0).uniform(1, 3, (7, 4, 6))
    picture = three_slices(volume, 0.0, 4.0)
    assert picture.shape == (7, 21, 3)
    expected = np.zeros((7, 21))
    for tile, (plane, rows, columns) in enumerate(
        [(volume[3], 4, 6), (volume[:, 2], 7, 6), (volume[:, :, 3], 7, 4)]
    ):
        top, left = (7 - rows) // 2, tile * 7 + (7 - columns) // 2
        for i in range(rows):
            for j in range(columns):  # the last row of a slice is the lowest index
                expected[top + i, left + j] = round(plane[rows - 1 - i, j] / 4 * 255)
    assert np.abs(picture[..., 0] - expected).max() == 0
    assert (picture == picture[..., :1]).all()
    assert (picture[..., 0] > 0).sum() == 4 * 6 + 7 * 6 + 7 * 4


def test_what_is_outside_of_the_window_is_cut_off():
    picture = three_slices(np.linspace(-5, 5, 27).reshape(3, 3, 3), -0.1, 0.1)
    assert set(picture.ravel().tolist()) <= {0, 128, 255}


def test_the_field_is_drawn_as_a_line_along_its_planes():
    """Along z: a point in the axial slice, an upright line in the two others."""
    picture = kernel_slices(np.zeros((9, 9, 9)), (1.0, 0.0, 0.0))
    red = (picture == (220, 60, 40)).all(-1)
    axial, coronal, sagittal = red[:, :9], red[:, 9:18], red[:, 18:]
    assert axial.sum() == 1
    for slice_YX in (coronal, sagittal):
        assert slice_YX.any(0).sum() == 1
        assert slice_YX.any(1).sum() >= 8
