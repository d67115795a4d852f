"""Files that are damaged, and values and options that make no sense: one line, nothing written."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.tasks.qsm.scans import GIVEN, RAD, SHAPE, refused, save


def sizes(*dims):
    """The file with other sizes in its header."""
    return lambda raw: (
        raw[:40] + struct.pack("<8h", len(dims), *dims, *[1] * (7 - len(dims))) + raw[56:]
    )


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("a.nii", lambda raw: b"", "not a readable NIfTI"),
        ("a.nii", lambda raw: raw[:200], "not a readable NIfTI"),
        ("a.nii", lambda raw: raw[:5000], "can't be read"),
        ("a.nii.gz", lambda raw: gzip.compress(raw)[:3000], "can't be read"),
        ("a.nii.gz", lambda raw: raw, "not a readable NIfTI"),
        ("a.nii", sizes(32767, 32767, 32767), "GB"),
        ("a.nii", sizes(2000, 2000, 2000, 2000), "GB"),
        ("a.nii", sizes(-5, 22, 20), "sizes above 0"),
        ("a.nii", sizes(24, 440), "expected 3D or 4D"),
        ("a.nii", sizes(24, 22, 1, 1, 2, 10), "expected 3D or 4D"),
        ("a.nii", lambda raw: raw[:280] + 12 * b"\0\0\xc0\x7f" + raw[328:], "spans no volume"),
        ("a.nii", lambda raw: raw[:256] + struct.pack("<2f", 5, 1) + raw[264:], "w2 should be"),
    ],
)
def test_damaged_files(scan, name, damage, says):
    Path(name).write_bytes(damage(Path("phase.nii").read_bytes()))
    refused(3, f"phase {name}", says, name=name, **RAD)
    refused(3, f"mask {name}", **RAD | {"mask": name})


@pytest.mark.parametrize(
    ("values", "phase", "mask", "magnitude"),
    [
        (np.nan, "NaN or Inf within the mask", "NaN or Inf", "NaN or Inf within the mask"),
        (np.inf, "NaN or Inf within the mask", "NaN or Inf", "NaN or Inf within the mask"),
        (0, "the same everywhere", "is empty", "0 everywhere"),
        (-1, "the same everywhere", "below 0", "is negative"),
    ],
)
def test_values_that_make_no_sense(scan, values, phase, mask, magnitude):
    save("other.nii", np.full(SHAPE, values))
    refused(3, "phase", phase, name="other.nii", **RAD)
    refused(3, "mask other.nii", mask, **RAD | {"mask": "other.nii"})
    refused(3, "magnitude", magnitude, **RAD, magnitude="other.nii")


@pytest.mark.parametrize(
    ("factor", "unit", "says"),
    [
        (1e30, "rad", "raw scanner units"),
        (1e30, "hz", "raw scanner units"),
        (1e30, "ppm", "looks like Hz"),
        (1e-30, "rad", "too small for any unit"),
    ],
)
def test_sizes_that_make_no_sense(scan, factor, unit, says):
    save("other.nii", factor * scan[0])
    refused(3, says, name="other.nii", **RAD | {"units": unit})
    if factor > 1:
        refused(3, "makes a phase of", name="other.nii", **RAD, rescale="none")


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("rescale", "{a: 1}", 2),
        ("rescale", "[.nan, 1]", 2),
        ("phase_sign", "true", 2),
        ("phase_sign", "x", 2),
        ("fix_slices", "1", 2),
        ("affine", "[1]", 2),
        ("echo", "0", 2),
        ("echo", "true", 2),
        ("echo_time", "[]", 2),
        ("echo_time", "[x]", 2),
        ("echo_time", ".nan", 2),
        ("mask", "n" * 300, 3),
        ("mask", ".", 3),
        ("magnitude", "true", 3),
        ("units", "[rad]", 3),
        ("field_strength", "[3]", 2),
        ("b0_dir", "[.nan, 0, 1]", 2),
    ],
)
def test_options_that_make_no_sense(scan, option, value, code):
    refused(code, **RAD | {option: value})


@pytest.mark.parametrize(
    "about",
    [{"Units": 3}, {"Units": ["rad"]}, {"EchoTime": "x"}, {"EchoTime": True}, {"B0_dir": "z"}, []],
)
def test_sidecars_that_make_no_sense(scan, about):
    Path("phase.json").write_text(json.dumps(about))
    rest = {"mask": "mask.nii", "field_strength": 3}
    timed = {} if "EchoTime" in about else {"echo_time": 0.025}
    units = {} if "Units" in about else {"units": "rad"}
    refused(2 if "EchoTime" in about or "B0_dir" in about else 3, **rest, **timed, **units)


def test_colours_and_complex_masks(scan):
    colours = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    save("colours.nii", colours, dtype=colours.dtype)
    refused(3, "received colours", name="colours.nii", **RAD)
    save("complex.nii", scan[1] * (1 + 1j), dtype=np.complex64)
    refused(3, "received complex numbers", **RAD | {"mask": "complex.nii"})
    save("nothing.nii", 0 * scan[0], dtype=np.complex64)
    refused(3, "is 0 everywhere", name="nothing.nii", **GIVEN)


def test_names_that_are_too_long(scan):
    refused(3, "expected a NIfTI file, found none", name="n" * 300, **RAD)
