"""Scans as people have them, by the command line: what would give a wrong map.

Each is a small file, judged by the map that the plain file of `scans` gives (rad, -pi..pi, a mask):
what is converted must give that map, to the digits of its storage, and say what was done; what
can't be is refused in one line, and nothing is written.
"""

import nibabel
import numpy as np
import pytest

from tests.tasks.qsm.scans import GIVEN, RAD, TURN, air, apply, gives, head, refused, result, save


def test_complex_numbers_are_angle_and_magnitude(scan):
    """Not their real part: that gives another map."""
    phase, _, magnitude = scan
    apply(**RAD, magnitude="mag.nii", out="plain.nii")
    plain = result("plain.nii")[0]
    save("complex.nii", magnitude * np.exp(1j * phase), dtype=np.complex64)
    facts = gives(plain, "complex", name="complex.nii", **GIVEN)
    assert facts["Weights"] == "magnitude"
    assert facts["InputUnitsFrom"] == "angle of complex numbers"
    save("real.nii", magnitude * np.cos(phase))
    apply("real.nii", **RAD, magnitude="mag.nii")
    assert np.abs(result()[0] - plain).max() > 0.1
    refused(2, "--units hz", "in rad", name="complex.nii", **GIVEN, units="hz")


def test_a_magnitude_is_no_phase(scan):
    refused(3, "phase mag.nii", "is it the magnitude?", name="mag.nii", **RAD)
    refused(3, "can't be hz", name="mag.nii", **RAD | {"units": "hz"})
    assert apply("mag.nii", **RAD, rescale="none").code == 0  # who insists


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        (lambda rad: rad / np.pi, "units of pi"),
        (lambda rad: rad / TURN, "turns"),
        (lambda rad: 49.5 * (1 + rad / np.pi), "0.009508..98.99 can't be rad"),
        (lambda rad: np.degrees(rad), "degrees"),
        (lambda rad: np.round(1000 * rad), "raw scanner units"),
    ],
)
def test_what_can_not_be_rad_is_refused_by_its_range(scan, stored, says):
    save("other.nii", stored(scan[0]))
    refused(3, says, name="other.nii", **RAD)


def test_from_0_to_2_pi_is_the_same_angle(scan, plain):
    save("other.nii", np.mod(scan[0], TURN))
    gives(plain, "0..2 pi", name="other.nii", **RAD)


def test_a_range_that_may_be_rad_is_taken_and_said(scan):
    """Small, without wraps: nothing tells units of pi from rad, so a person is told."""
    small = air(head()[0], scan[1], -1, 1)
    small[0, 0, :2] = -1, 1
    save("small.nii", small / np.abs(small).max())
    said = apply("small.nii", **RAD)
    assert said.code == 0
    assert "-1..1 taken for rad, though it looks like a phase (units of pi)" in said.err


def tilted(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])


def contradicting(name, values, code=1):
    image = nibabel.Nifti1Image(values.astype(np.float32), np.eye(4))
    image.set_sform(np.eye(4), code=1)
    image.set_qform(tilted(25), code=code)
    nibabel.save(image, name)


def test_two_affines_that_contradict(scan, plain):
    contradicting("both.nii", scan[0])
    contradicting("mask2.nii", scan[1])
    refused(3, "both.nii", "25 degrees apart", "--affine sform", name="both.nii", **RAD)
    refused(2, "expected sform or qform", name="both.nii", **RAD, affine="best")
    refused(3, "mask mask2.nii", "25 degrees apart", **RAD | {"mask": "mask2.nii"})
    facts = gives(plain, name="both.nii", **RAD, affine="sform")
    assert facts["Affine"] == "sform"
    save("only.nii", scan[1], sform=0)  # of a mask with one affine nobody asks for the other
    gives(plain, name="both.nii", **RAD | {"mask": "only.nii"}, affine="sform")
    refused(3, "has no sform", name="only.nii", **RAD, affine="sform")
    apply("both.nii", **RAD | {"mask": "mask2.nii"}, affine="qform")
    made, facts = result()
    assert np.abs(made - plain).max() > 0.01  # B0 lies elsewhere
    save("turned.nii", scan[0], tilted(25))
    save("turned_mask.nii", scan[1], tilted(25))
    apply("turned.nii", **RAD | {"mask": "turned_mask.nii"}, out="turned_map.nii")
    assert np.allclose(made, result("turned_map.nii")[0], atol=1e-4)
    contradicting("template.nii", scan[0], code=4)  # of a template's affine nobody asks for B0
    gives(plain, name="template.nii", **RAD)


def test_an_echo_time_that_may_be_in_milliseconds(scan):
    for te, says in ((0.5, "--echo-time 0.0005"), (0.201, "usual ones"), (0.2, "")):
        said = apply(**RAD | {"echo_time": te})
        assert said.code == 0
        assert says in said.err
        assert bool(said.err) == bool(says)
        assert bool(result()[1]["Notes"]) == bool(says)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_there_is_no_inversion_of_one_slice(scan, axis):
    for name, values in zip(("one.nii", "one_mask.nii"), scan[:2], strict=True):
        save(name, np.take(values, [10], axis))
    refused(3, "one slice", name="one.nii", **RAD | {"mask": "one_mask.nii"})


def test_an_inverted_mask(scan, plain):
    """By the magnitude, by what was cut away, or by noise where there should be phase."""
    phase, mask, _ = scan
    save("inverted.nii", ~mask)
    save("cut.nii", np.where(mask, phase, 0))
    wrong = RAD | {"mask": "inverted.nii"}
    refused(3, "the magnitude has signal", "is it inverted?", **wrong, magnitude="mag.nii")
    refused(3, "the phase is not 0", "is it inverted?", name="cut.nii", **wrong)
    refused(3, "more than noise", "is it inverted?", **wrong)
    gives(plain, name="cut.nii", **RAD)


def test_without_a_mask_it_is_said_what_counts(scan, plain):
    rest = {name: value for name, value in RAD.items() if name != "mask"}
    said = apply(**rest)
    assert "no --mask was given: all voxels count" in said.err
    save("cut.nii", np.where(scan[1], scan[0], 0))
    facts = gives(plain, f"{scan[1].sum():,} of {scan[1].size:,} voxels", name="cut.nii", **rest)
    assert facts["MaskFrom"] == "where the phase is not 0"
