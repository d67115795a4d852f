"""Scans as people have them: complete ones, and one for each thing that may be wrong."""

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest

from famulus.config.errors import FamulusError
from famulus.tasks.qsm.apply import scan_of_array
from famulus.tasks.qsm.input_files import field_of, read_scan
from famulus.tasks.qsm.recordings import recorded

SHAPE = (6, 7, 8)
PHASE = np.random.default_rng(0).uniform(-1, 1, SHAPE)
MASK = np.zeros(SHAPE)
MASK[1:-1, 1:-1, 1:-1] = 1
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]
GIVEN = {"units": "rad", "echo_time": 0.025, "field_strength": 3, "mask": "mask.nii"}


def save(path, values, affine=None, code=1):
    image = nibabel.Nifti1Image(values.astype(np.float32), np.eye(4) if affine is None else affine)
    image.set_sform(image.affine, code=code)
    image.set_qform(image.affine, code=code)
    nibabel.save(image, path)
    return path


@pytest.fixture
def at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(Path("mask.nii"), MASK)
    save(Path("mag.nii"), 1 + PHASE)
    return save(Path("phase.nii"), PHASE)


def test_complete(at):
    found = read_scan(at, {**GIVEN, "magnitude": "mag.nii"})
    assert np.allclose(found.phase_rad, (PHASE * MASK).T)
    assert found.rad_per_ppm == pytest.approx(20.06, rel=1e-3)
    assert np.allclose(found.magnitude, (1 + PHASE).T)
    assert found.facts["Sources"] == ["phase.nii", "mag.nii", "mask.nii"]


@pytest.mark.parametrize(("unit", "ppm"), [("ppm", 1.0), ("Hz", 1 / 127.73), ("rad", 1 / 20.064)])
def test_units_meet_in_ppm(at, unit, ppm):
    found = read_scan(at, {**GIVEN, "units": unit})
    assert np.allclose(found.phase_rad / found.rad_per_ppm, (PHASE * MASK).T * ppm, rtol=1e-3)


def test_an_echo_time_says_rad_for_what_lies_within_a_turn(at):
    found = read_scan(at, {**GIVEN, "units": None})
    assert found.facts["InputUnits"] == "rad"
    assert "--echo-time" in found.facts["InputUnitsFrom"]
    save(at, 4 * PHASE)
    with pytest.raises(FamulusError, match="unit is not known"):
        read_scan(at, {**GIVEN, "units": None})
    save(at, PHASE)
    at.with_suffix(".json").write_text(json.dumps({"EchoTime": 0.025}))
    with pytest.raises(FamulusError, match="unit is not known"):  # no person said so
        read_scan(at, {**GIVEN, "units": None, "echo_time": None})


def test_where_b0_comes_from_is_told(at):
    assert read_scan(at, GIVEN).facts["B0_dirFrom"].startswith("z of the scanner")
    save(at, PHASE, code=0)
    assert "taken for" in read_scan(at, {**GIVEN, "mask": None}).facts["B0_dirFrom"]
    given = {**GIVEN, "mask": None, "b0_dir": [0, 1, 0]}
    assert read_scan(at, given).facts["B0_dirFrom"] == "--b0-dir"


def test_a_sidecar_says_it_all(at):
    at.with_suffix(".json").write_text(
        json.dumps({"Units": "Hz", "MagneticFieldStrength": 7, "B0_dir": [0, 0.6, 0.8]})
    )
    found = read_scan(at, {"mask": "mask.nii"})
    assert found.b0_t == 7
    assert found.geometry.b0_zyx == pytest.approx((0.8, 0.6, 0))
    assert read_scan(at, {"mask": "mask.nii", "field_strength": 3}).b0_t == 3  # an option wins


def test_oblique_scans(at):
    for name, values in (("phase.nii", PHASE), ("mask.nii", MASK)):
        save(Path(name), values, OBLIQUE)
    assert read_scan(at, GIVEN).geometry.b0_zyx == pytest.approx((0.8, 0.6, 0), abs=1e-6)
    save(at, PHASE, OBLIQUE, code=2)
    with pytest.raises(FamulusError, match="--b0-dir"):
        read_scan(at, GIVEN)
    found = read_scan(at, {**GIVEN, "b0_dir": [0, 0, 1]})
    assert found.geometry.b0_zyx == pytest.approx((0.8, 0.6, 0), abs=1e-6)


def test_b0_follows_the_scanner_and_not_a_template(at):
    """An sform of a template is not the way to the scanner if the qform is."""
    for name, values in (("phase.nii", PHASE), ("mask.nii", MASK)):
        image = nibabel.Nifti1Image(values.astype(np.float32), np.eye(4))
        image.set_sform(np.eye(4), code=4)
        image.set_qform(OBLIQUE @ np.diag([2, 2, 2, 1]), code=1)
        nibabel.save(image, name)
    found = read_scan(at, GIVEN)
    assert found.geometry.b0_zyx == pytest.approx((0.8, 0.6, 0.0), abs=1e-5)
    assert found.geometry.voxel_zyx_mm == pytest.approx((2, 2, 2))


def changed(**options):
    return lambda at: {**GIVEN, **options}


def written(name, values, affine=None):
    def change(at):
        save(Path(name), values, affine)
        return {**GIVEN, "magnitude": "mag.nii"}

    return change


def spoiled(value):
    values = PHASE.copy()
    values[2, 3, 4] = value
    return values


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (changed(units=None, echo_time=None), "unit is not known"),
        (changed(units="degrees"), "expected units of rad, hz or ppm"),
        (changed(echo_time=None), "--echo-time in seconds"),
        (changed(echo_time=25), "expected 1e-05 to 1 seconds, received 25"),
        (changed(echo_time="x"), "expected a number"),
        (changed(field_strength=None), "--field-strength in tesla"),
        (changed(field_strength=0), "expected 0.01 to 30 tesla"),
        (changed(b0_dir="z"), "three numbers"),
        (changed(b0_dir=[0, 0, 0]), "points somewhere"),
        (changed(mask="nowhere.nii"), "found none"),
        (written("mask.nii", 0 * MASK), "is empty"),
        (written("mask.nii", MASK[1:]), "6 x 7 x 8 voxels"),
        (written("mag.nii", PHASE, OBLIQUE), "their affines differ"),
        (written("mag.nii", PHASE), "is negative"),
        (written("mag.nii", 0 * PHASE), "0 everywhere"),
        (written("phase.nii", spoiled(np.nan)), "1 voxels are NaN or Inf"),
        (written("phase.nii", spoiled(np.inf)), "1 voxels are NaN or Inf"),
        (written("phase.nii", 4096 * PHASE), "raw scanner units"),
        (written("phase.nii", np.stack([PHASE, PHASE], -1)), "expected 3D"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(at, change, says):
    with pytest.raises(FamulusError, match=says) as error:
        read_scan(at, change(at))
    assert "\n" not in str(error.value)


def test_hz_needs_no_echo_time(at):
    assert read_scan(at, {**GIVEN, "units": "Hz", "echo_time": None}, 0.02).te_s == 0.02


@pytest.mark.data
@pytest.mark.skipif("FAMULUS_DATA" not in os.environ, reason="FAMULUS_DATA is not set")
def test_real_echoes():
    """Unwrapped in space and time, a real scan's echoes lie on a line within noise."""
    folder = Path(os.environ["FAMULUS_DATA"]) / "gre-multiecho"
    found = recorded(folder, {}, [])
    assert found.phase_EZYX.shape == found.magnitude.shape == (3, 41, 51, 51)
    assert found.te_s.tolist() == [0.004, 0.008, 0.012]
    hz, like, facts = field_of(folder, {})
    assert hz.shape == like.shape
    assert facts["Units"] == "Hz"
    assert facts["ResidualMedian_rad"] < 0.1
    steps = np.abs(np.diff(hz, axis=2))
    assert np.quantile(steps, 0.99) < 1 / 0.004 / 2  # no torn turns
    other = field_of(folder, {"field_strength": 7})[0]
    assert np.allclose(other, hz / (42.577478518 * 7), rtol=1e-5)


def test_echoes_without_files(tmp_path):
    with pytest.raises(FamulusError, match="part-phase"):
        recorded(tmp_path, {}, [])


ARRAY = {"voxel_zyx_mm": (1, 1, 1), "echo_time": 0.025, "field_strength": 3}


def test_arrays_are_checked_as_files_are():
    """The same conversions, with the same words; a mask and a magnitude are of its own voxels."""
    given = {**ARRAY, "mask": MASK, "units": "rad"}
    plain = scan_of_array(PHASE, given, None)
    assert np.allclose(plain.phase_rad, PHASE * MASK)
    signal = (2 + PHASE) * np.exp(1j * PHASE)
    found = scan_of_array(signal, {**given, "units": None}, None)
    assert np.allclose(found.phase_rad, plain.phase_rad, atol=1e-6)
    assert np.allclose(found.magnitude, 2 + PHASE, atol=1e-6)
    assert "complex" in found.facts["Notes"][0]
    share = np.where(MASK > 0, 0.8, 0.3)
    assert np.array_equal(scan_of_array(PHASE, given | {"mask": share}, None).mask, MASK)
    raw = scan_of_array(1000 * np.pi * PHASE, {**given, "units": None, "rescale": "philips"}, None)
    assert np.allclose(raw.phase_rad, np.pi * PHASE * MASK, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "more", "says"),
    [
        (PHASE[:1], {}, "one slice"),
        (1 + PHASE, {}, "is it the magnitude"),
        (PHASE, {"mask": MASK * 1j}, "expected numbers Z Y X"),
        (PHASE, {"mask": MASK[None]}, "expected numbers Z Y X"),
        (PHASE, {"mask": MASK.astype(str)}, "expected numbers Z Y X"),
        (PHASE, {"magnitude": PHASE}, "is negative"),
        (np.where(MASK > 0, np.nan, 0), {}, "NaN or Inf"),
        (np.where(MASK > 0, np.nan, 0), {"mask": MASK}, "within the mask"),
    ],
)
def test_arrays_that_are_wrong(values, more, says):
    with pytest.raises(FamulusError, match=says):
        scan_of_array(values, {**ARRAY, "units": "rad", **more}, None)
