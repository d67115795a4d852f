"""Scans as people have them, by the command line: as scanners and other tools store.

Each is a small file, judged by the map that the plain file of `scans` gives (rad, -pi..pi, a mask):
what is converted must give that map, to the digits of its storage, and say what was done; what
can't be is refused in one line, and nothing is written.
"""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.launch.tiny import complains
from tests.tasks.qsm.scans import (
    GIVEN,
    RAD,
    SHAPE,
    TURN,
    WHOLE,
    air,
    apply,
    gives,
    refused,
    result,
    save,
)


@pytest.mark.parametrize("unit", ["radians", "Radian", "rad"])
def test_a_unit_has_several_names(scan, plain, unit):
    Path("phase.json").write_text(json.dumps({"Units": unit}))
    gives(plain, **GIVEN)


@pytest.mark.parametrize("unit", ["arbitrary", "a.u."])
def test_a_sidecar_may_say_that_there_is_no_unit(scan, plain, unit):
    """A whole turn from -pi to pi, at an echo time that was typed, is rad; else a person says."""
    Path("phase.json").write_text(json.dumps({"Units": unit}))
    gives(plain, "InputUnits rad", **GIVEN)
    save("raw.nii", np.round(4096 / np.pi * scan[0]))
    Path("raw.json").write_text(json.dumps({"Units": unit}))
    refused(3, f"sidecar says {unit}", "--rescale siemens", name="raw.nii", **GIVEN)
    gives(plain, "Siemens", name="raw.nii", **GIVEN, rescale="siemens", within=WHOLE)


def test_nan_outside_of_a_mask_that_was_given(scan, plain):
    phase, mask, _ = scan
    phase = np.where(mask, phase, np.nan)
    save("nan.nii", phase)
    gives(plain, f"{(~mask).sum():,} voxels outside of the mask", name="nan.nii", **RAD)
    rest = {name: value for name, value in RAD.items() if name != "mask"}
    refused(3, "are NaN or Inf", name="nan.nii", **rest)
    phase[12, 11, 5] = np.inf
    save("nan.nii", phase)
    refused(3, "1 voxels are NaN or Inf within the mask", name="nan.nii", **RAD)


def siemens(rad):
    return np.round(4096 / np.pi * rad)


def twelve_bits(rad):
    return np.clip(np.floor(2048 + 2048 / np.pi * rad), 0, 4095)


def milli(rad):
    return np.round(1000 * rad)


@pytest.mark.parametrize(
    ("stored", "rescale", "says"),
    [
        (siemens, "siemens", "-4096..4095"),
        (siemens, "auto", "Siemens"),
        (twelve_bits, "siemens", "0..4095"),
        (twelve_bits, "philips", "0..4095"),
        (milli, "philips", "mrad"),
        (milli, "auto", "mrad"),
        (lambda rad: np.degrees(rad), "degrees", "-180..180"),
        (lambda rad: rad / np.pi, "pi", "units of pi"),
        (lambda rad: rad / TURN, "turns", "turns"),
        (lambda rad: 5 + rad, "[1.8584073, 8.1415927]", "1.858..8.142"),
        (lambda rad: np.mod(rad, TURN), "auto", "0..2 pi"),
    ],
)
def test_what_scanners_store(scan, plain, stored, rescale, says):
    save("raw.nii", stored(scan[0]), dtype=np.float32)
    facts = gives(plain, says, name="raw.nii", **GIVEN, rescale=rescale, within=2 * WHOLE)
    assert facts["InputUnits"] == "rad"
    assert facts["InputUnitsFrom"] == "--rescale"


def test_a_scale_in_the_header_comes_first(scan, plain):
    """Siemens: 0..4095 with a slope of 2 and an intercept of -4096, as dcm2niix writes it."""
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4))
    image.header.set_slope_inter(2, -4096)
    image.set_sform(np.eye(4), code=1)
    nibabel.save(image, "raw.nii")
    values = twelve_bits(scan[0]).astype(np.int16)
    raw = bytearray(Path("raw.nii").read_bytes())
    raw[352:] = values.tobytes(order="F")
    raw[112:120] = np.array([2, -4096], np.float32).tobytes()
    Path("raw.nii").write_bytes(raw)
    assert nibabel.load("raw.nii").get_fdata().min() == -4096
    gives(plain, "-4096..4095", name="raw.nii", **GIVEN, rescale="siemens", within=2 * WHOLE)


@pytest.mark.parametrize(
    ("rescale", "code", "says"),
    [
        ("siemens", 3, "expected -4096..4095 or 0..4095, received -3.14"),
        ("vendor", 2, "expected auto, none, siemens"),
        ("[3, 1]", 2, "expected [low, high]"),
        ("[0, 1]", 3, "expected 0..1, received"),
        ("ge", 3, "mrad"),
    ],
)
def test_a_rescale_that_does_not_suit(scan, rescale, code, says):
    if says == "mrad":
        save("phase.nii", milli(scan[0]) * 2)
        says = "received -6282..6282"
    refused(code, says, **GIVEN, rescale=rescale)


def test_a_ge_phase_falls_with_the_field(scan, plain):
    save("ge.nii", milli(-scan[0]))
    Path("ge.json").write_text(json.dumps({"Manufacturer": "GE MEDICAL SYSTEMS"}))
    words = ("mrad", "the sign of the phase was turned")
    facts = gives(plain, *words, name="ge.nii", **GIVEN, rescale="auto", within=WHOLE)
    assert facts["PhaseSign"] == -1
    gives(-plain, "mrad", name="ge.nii", **GIVEN, rescale="auto", phase_sign=1, within=WHOLE)
    save("falls.nii", -scan[0])
    gives(plain, "sign", name="falls.nii", **RAD, phase_sign=-1)
    refused(2, "expected 1", name="falls.nii", **RAD, phase_sign=2)


def test_each_second_slice_of_a_ge_scan_is_turned(scan, plain):
    phase = np.angle(np.exp(1j * (scan[0] + np.pi * (np.arange(SHAPE[2]) % 2))))
    save("ge.nii", -phase)
    refused(3, "each second slice along z is turned by pi", "--fix-slices", name="ge.nii", **RAD)
    fixed = {"fix_slices": "true", "phase_sign": -1}
    gives(plain, "slice along z was turned", "sign", name="ge.nii", **RAD, **fixed)
    Path("ge.json").write_text(json.dumps({"Manufacturer": "GE"}))
    gives(plain, "slice along z was turned", "sign", name="ge.nii", **RAD)
    complains(apply(**RAD, fix_slices="true"), 3, "no slices are turned")
    said = apply("ge.nii", **RAD, fix_slices="false")
    assert said.code == 0
    assert np.abs(result()[0] - plain).max() > 0.1


def test_a_mask_half_a_voxel_off(scan, plain):
    """Interpolated at the phase's voxels: the mask differs at its border only."""
    off = np.eye(4)
    off[0, 3] = 0.5
    save("off.nii", scan[1], off)
    said = apply(**RAD | {"mask": "off.nii"})
    assert said.code == 0
    assert "its centre 0.5 mm away): resampled linearly onto those of phase.nii" in said.err
    made = result()[0] != 0
    # at i the middle of the mask's voxels i-1 and i counts, above .5: where both are within
    both = scan[1] & np.roll(scan[1], 1, 0)
    assert np.array_equal(made, both)


def test_a_mask_that_is_stored_in_another_order(scan, plain):
    mask = scan[1] & (np.arange(SHAPE[0]) < 17)[:, None, None]  # which a flip changes
    save("cropped.nii", mask)
    apply(**RAD | {"mask": "cropped.nii"}, out="plain.nii")
    plain = result("plain.nii")[0]
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = SHAPE[0] - 1
    save("other.nii", mask[::-1], flipped)
    gives(plain, "stored in another order of axes", **RAD | {"mask": "other.nii"})
    save("other.nii", np.transpose(mask, (1, 2, 0)), np.eye(4)[[2, 0, 1, 3]])
    gives(plain, "stored in another order of axes", **RAD | {"mask": "other.nii"})


def test_a_magnitude_of_larger_voxels(scan):
    """2 mm: of a magnitude that is linear nothing changes."""
    x, y, _ = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    save("mag.nii", 5 + x + 0.5 * y)
    apply(**RAD, magnitude="mag.nii", out="plain.nii")
    wide = np.diag([2.0, 2, 2, 1])
    wide[:3, 3] = 0.5
    x, y, _ = np.meshgrid(*(2 * np.arange(n // 2) + 0.5 for n in SHAPE), indexing="ij")
    save("wide.nii", 5 + x + 0.5 * y, wide)
    words = "12 x 11 x 10, its centre 0 mm away"
    gives(result("plain.nii")[0], words, **RAD, magnitude="wide.nii", within=1e-3)


@pytest.mark.parametrize(
    ("affine", "says"),
    [
        (np.diag([2.0, 2, 2, 1]), "their affines differ"),  # as many voxels, twice as large
        (np.array([[1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "lies 9 mm away"),
    ],
)
def test_a_mask_that_lies_elsewhere(scan, affine, says):
    save("away.nii", scan[1], affine)
    refused(3, "mask away.nii", says, **RAD | {"mask": "away.nii"})


def test_masks_of_probabilities_and_of_labels(scan, plain):
    mask = scan[1]
    share = air(np.where(mask, 0.9, 0), mask, 0, 0.4)
    label = mask * (1 + np.arange(SHAPE[0])[:, None, None] % 3)
    for values, says in (
        (share, "between 0 and 1: above .5 counts"),
        (label, "as labels: all but 0 counts"),
        (255 * mask, None),
    ):
        save("other.nii", values)
        gives(plain, *([says] if says else []), **RAD | {"mask": "other.nii"})
    for values, says in ((100 * share, "received fractions up to"), (mask - 0.5, "is below 0")):
        save("other.nii", values)
        refused(3, says, **RAD | {"mask": "other.nii"})


def test_pairs_of_header_and_voxels(scan, plain):
    save("pair.img", scan[0], kind=nibabel.Nifti1Pair)
    Path("pair.json").write_text(json.dumps({"Units": "rad"}))
    for name in ("pair.img", "pair.hdr"):
        facts = gives(plain, name=name, **GIVEN)
        assert facts["InputUnitsFrom"] == "sidecar"
    complains(apply("pair.img", out="pair.nii", **GIVEN), 2, "is an input")
    Path("pair.img").unlink()
    complains(apply("pair.hdr", **RAD), 3, "expected pair.img beside it")


def test_analyze_does_not_say_how_it_lies(scan, plain):
    """Its axes are taken for the scanner's, as those of a NIfTI with codes of 0 are."""
    nibabel.save(nibabel.AnalyzeImage(scan[0].astype(np.float32), np.eye(4)), "old.img")
    words = ("mask.nii is taken voxel by voxel", "does not say how it lies")
    facts = gives(plain, *words, name="old.img", **RAD)
    assert "does not say" in facts["B0_dirFrom"]
    assert nibabel.load("map.nii").header["sform_code"] == 0
    facts = gives(plain, words[0], name="old.img", **RAD, b0_dir="[0, 0, 1]")
    refused(3, "has no sform", name="old.img", **RAD, affine="sform")
