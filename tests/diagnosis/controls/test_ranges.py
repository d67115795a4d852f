"""Inputs out of range."""

import numpy as np

from tests.launch.sound import Sound, cause, rows


def test_ranges():
    def ranges(change):
        train = rows(240, 0)
        change(train.image)
        return cause(Sound(train), "range")

    def grey_values(image):
        image[:] = 100 + 40 * image

    def broken(image):
        image[0, 0, 0, 0] = np.nan

    def flat(image):
        image[:] = 0.5

    assert ranges(lambda image: None) == ""
    for change in (grey_values, broken, flat):
        assert ranges(change) == "input-out-of-range"
