"""Which of two affines is meant: by the codes of the standard, and by angles that are built in."""

import nibabel
import numpy as np
import pytest

from famulus.volumes.nifti_affine import apart, placed


def turned(degrees, axis=0, sides=(1, 1, 1)):
    """An affine turned about one axis; its steps are `sides` mm long."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    a, b = [i for i in range(3) if i != axis]
    affine[[a, a, b, b], [a, b, a, b]] = c, -s, s, c
    return affine @ np.diag([*sides, 1])


def image(sform=1, qform=1, angle=0.0):
    made = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.float32), np.eye(4))
    made.set_sform(np.eye(4), code=sform)
    made.set_qform(turned(angle), code=qform)
    return made


@pytest.mark.parametrize(
    ("sform", "qform", "scanner", "oriented", "which"),
    [
        (1, 1, True, True, "sform"),
        (1, 0, True, True, "sform"),
        (0, 1, True, True, "qform"),
        (4, 1, True, True, "qform"),  # a template's is not the way to the scanner
        (1, 2, True, True, "sform"),
        (2, 0, False, True, "sform"),
        (0, 0, False, False, None),
    ],
)
def test_by_codes(sform, qform, scanner, oriented, which):
    found = placed(image(sform, qform, 25))
    assert (found.scanner, found.oriented) == (scanner, oriented)
    if which:
        wanted = np.eye(4) if which == "sform" else turned(25)
        assert np.allclose(found.affine, wanted, atol=1e-6)
        named = placed(image(sform, qform, 25), form=which)
        assert np.allclose(named.affine, wanted, atol=1e-6)


@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (2, 4)])
def test_a_conflict_is_of_two_that_claim_the_same(sform, qform):
    assert placed(image(sform, qform, 25)).conflict == "are 25 degrees apart"
    assert not placed(image(sform, qform, 0.5)).conflict
    assert not placed(image(1, 4, 25)).conflict
    assert not placed(image(0, qform, 25)).conflict
    assert not placed(image(sform, qform, 25), form="qform").conflict


def test_a_form_that_is_not_there():
    other = placed(image(1, 0), form="qform", needed=False)
    assert other.scanner
    assert np.allclose(other.affine, np.eye(4))
    with pytest.raises(ValueError, match="has no qform"):
        placed(image(1, 0), form="qform")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_apart(axis):
    assert apart(turned(0), turned(30, axis)) == "are 30 degrees apart"
    assert apart(turned(10, axis), turned(190, axis)) == "are 180 degrees apart"
    sides = np.where(np.arange(3) == axis, 1.02, 1)
    assert "have voxels of" in apart(turned(10, axis), turned(10, axis, sides))
    elsewhere = turned(10, axis)
    elsewhere[:3, 3] = 40
    assert not apart(turned(10, axis), elsewhere)
