"""Several echoes, in one file and in folders: judged by the field that they were made of, in Hz."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.launch.tiny import complains
from tests.tasks.qsm.scans import RAD_PER_PPM, air, angle, apply, head, refused, result, save

HZ_PER_PPM = RAD_PER_PPM / (2 * np.pi * 0.025)
TE = [0.004, 0.008, 0.012]
FIELD = {"method": "field", "mask": "mask.nii"}
MAP = {"mask": "mask.nii", "field_strength": 3}
FIT = 0.01  # Hz: of a field of tens


@pytest.fixture
def hz(tmp_path, monkeypatch):
    """The field XYZ in Hz; in the working folder phase4.nii, mag4.nii, complex4.nii, hz.nii."""
    monkeypatch.chdir(tmp_path)
    field, mask, _ = head()
    hz = HZ_PER_PPM * field + np.random.default_rng(3).normal(0, 0.01, field.shape)
    for name, values in zip(("phase4", "mag4"), echoes(hz), strict=True):
        save(f"{name}.nii", values)
    phase, magnitude = echoes(hz)
    save("complex4.nii", magnitude * np.exp(1j * phase), dtype=np.complex64)
    save("mask.nii", mask)
    save("hz.nii", hz)
    return hz * mask


def echoes(hz):
    """(phase, magnitude) XYZE: offset, wraps, decay, and air around it."""
    _, mask, magnitude = head()
    phase = [air(angle(2 * np.pi * hz * te + 0.7), mask) for te in TE]
    return np.stack(phase, -1), np.stack([magnitude * np.exp(-20 * te) for te in TE], -1)


def folder(
    hz, into="echoes", name="sub-1_echo-{i}_{part}_MEGRE", parts=("part-phase", "part-mag"), **about
):
    """A file for each echo and part, with its sidecar."""
    Path(into).mkdir(exist_ok=True)
    for part, values in zip(parts, echoes(hz), strict=True):
        for i, te in enumerate(TE):
            file = Path(into, name.format(i=i + 1, part=part) + ".nii")
            save(file, values[..., i])
            file.with_suffix(".json").write_text(json.dumps({"EchoTime": te} | about))
    return into


def is_the_field(said, hz, notes=0):
    assert said.code == 0, said.err
    assert said.err.count("note: ") == notes, said.err
    made, facts = result()
    assert np.abs(made - hz).max() < FIT < np.abs(hz).max() / 100
    assert facts["EchoTimes"] == TE
    assert len(facts["Notes"]) == notes


def test_one_file_of_all_echoes(hz):
    words = {"echo_time": TE, "magnitude": "mag4.nii", "units": "rad"}
    is_the_field(apply("phase4.nii", **FIELD, **words), hz)
    is_the_field(apply("complex4.nii", **FIELD, echo_time=TE), hz, notes=1)
    Path("phase4.json").write_text(json.dumps({"EchoTime": TE, "Units": "rad"}))
    is_the_field(apply("phase4.nii", **FIELD, magnitude="mag4.nii"), hz)
    is_the_field(apply("phase4.nii", **FIELD), hz, notes=1)  # no magnitude: all count alike


def test_an_inversion_of_all_echoes_is_that_of_their_field(hz):
    words = {"echo_time": TE, "units": "rad", "magnitude": "mag4.nii"}
    apply("hz.nii", "tikhonov", **MAP, units="hz", out="plain.nii")
    plain = result("plain.nii")[0]
    assert apply("phase4.nii", "tikhonov", **MAP, **words).code == 0
    made, facts = result()
    assert np.abs(made - plain).max() < 1e-4 < plain.std()
    assert "3 echoes were combined into one field" in facts["Notes"][0]
    assert facts["EchoTimes"] == TE
    assert apply("phase4.nii", "ndi", **MAP, **words).err.count("note: ") == 1
    assert result()[1]["Weights"] == "magnitude"


def test_one_of_several_echoes(hz):
    phase, magnitude = echoes(hz)
    for name, values in (("phase2.nii", phase), ("mag2.nii", magnitude)):
        save(name, values[..., 1])
    words = {**MAP, "units": "rad"}
    apply("phase2.nii", **words, echo_time=TE[1], magnitude="mag2.nii", out="plain.nii")
    plain = result("plain.nii")[0]
    for options in ({"echo_time": TE}, {"echo_time": TE[1]}):
        said = apply("phase4.nii", **words, **options, echo=2, magnitude="mag4.nii")
        assert said.code == 0
        assert all("has an offset" in line for line in said.err.splitlines())
        made, facts = result()
        assert np.array_equal(made, plain)
        assert facts["EchoTime"] == TE[1]
    apply(folder(hz, Units="rad"), **MAP, echo=2)
    assert np.array_equal(result()[0], plain)
    assert result()[1]["Sources"][1] == "sub-1_echo-2_part-mag_MEGRE.nii"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({}, 3, "an echo time for each of its 3 volumes"),
        ({"echo_time": 0.004}, 3, "expected 3D, or an echo time for each"),
        ({"echo_time": [0.004, 0.008]}, 2, "expected 3 for as many echoes, received 2"),
        ({"echo_time": [0.008, 0.004, 0.012]}, 3, "expected rising echo times"),
        ({"echo_time": [4, 8, 12]}, 2, "expected 1e-05 to 1 seconds, received 4"),
        ({"echo_time": TE, "echo": 4}, 2, "expected 1 to 3"),
        ({"echo_time": TE, "echo": "all"}, 2, "expected 1 to 3"),
        ({"echo_time": TE, "magnitude": "hz.nii", "units": "rad"}, 3, "expected 3 volumes"),
        ({"echo": 1, "units": "rad"}, 3, "--echo-time in seconds"),
    ],
)
def test_what_is_wrong_with_a_series(hz, options, code, says):
    save("hz.nii", np.abs(hz) + 1)
    refused(code, says, name="phase4.nii", **MAP, **options)
    Path("phase4.nii").rename("lonely.nii")
    refused(3, "found none", name="phase4.nii", **MAP)


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"name": "anna_e{i}{part}", "parts": ("_ph", "")},  # dcm2niix
        {"name": "{part}_{i}", "parts": ("phase", "magnitude")},
        {"name": "{part}{i}", "parts": ("Phase", "Mag")},
    ],
)
def test_folders_by_their_names(hz, names):
    is_the_field(apply(folder(hz, Units="radians", **names), **FIELD), hz)


def test_a_folder_is_read_by_time(hz):
    """echo-10 stands before echo-2 in a listing."""
    folder(hz, Units="rad")
    for part in ("part-phase", "part-mag"):
        for end in (".nii", ".json"):
            old = Path(f"echoes/sub-1_echo-3_{part}_MEGRE{end}")
            old.rename(old.with_name(old.name.replace("echo-3", "echo-10")))
    is_the_field(apply("echoes", **FIELD), hz)
    for sidecar in Path("echoes").glob("*.json"):
        sidecar.unlink()
    refused(3, "expected --echo-time", name="echoes", **FIELD)
    is_the_field(apply("echoes", **FIELD, echo_time=TE), hz, notes=1)  # and rad is said


def test_a_folder_without_units_or_with_a_scanners_numbers(hz):
    is_the_field(apply(folder(hz), **FIELD), hz, notes=1)
    folder(hz, Units="arbitrary")
    for path in Path("echoes").glob("*part-phase*.nii"):
        save(path, np.round(1e4 * nibabel.load(path).get_fdata()))
    refused(3, "sidecar says arbitrary", name="echoes", **FIELD)
    is_the_field(apply("echoes", **FIELD, rescale=f"[{-1e4 * np.pi}, {1e4 * np.pi}]"), hz, notes=1)


def test_two_subjects_in_one_folder(hz):
    """By BIDS's names, or by echo times that come twice."""
    folder(hz, Units="rad")
    folder(hz, Units="rad", name="sub-2_echo-{i}_{part}_MEGRE")
    refused(3, "holds 2 scans: sub-1, sub-2", name="echoes", **FIELD)
    refused(3, "holds 2 scans: sub-1, sub-2", name="echoes", **MAP)
    for who in ("anna", "bob"):
        folder(hz, "others", who + "_e{i}{part}", ("_ph", ""), Units="rad")
    refused(3, "two echoes at 0.004 s, anna_e1_ph.nii and bob_e1_ph.nii", name="others", **FIELD)


def test_names_are_asked_for_before_anything_is_read(hz):
    Path("echoes").mkdir()
    refused(3, "expected files named *part-phase*", name="echoes", **FIELD)
    for i in (1, 2):
        Path(f"echoes/sub-1_echo-{i}_part-phase_MEGRE.nii").write_text("nothing")
    says = "no magnitude for sub-1_echo-1_part-phase_MEGRE, sub-1_echo-2_part-phase_MEGRE: expected"
    refused(3, says, "sub-1_echo-1_part-mag_MEGRE.nii.gz", name="echoes", **FIELD)


def test_sidecars_of_one_folder_agree(hz):
    folder(hz, Units="rad")
    Path("echoes/sub-1_echo-2_part-phase_MEGRE.json").write_text(
        json.dumps({"EchoTime": 0.008, "Units": "arbitrary"})
    )
    refused(3, "expected one for all", name="echoes", **FIELD)


def test_one_echo_time_is_not_enough_for_a_folder(hz):
    refused(2, "for the 3 echoes", name=folder(hz, Units="rad"), **FIELD, echo_time=0.004)


def test_echoes_are_of_one_kind(hz):
    folder(hz)
    phase, magnitude = (values[..., 1] for values in echoes(hz))
    name = "echoes/sub-1_echo-2_part-phase_MEGRE.nii"
    save(name, magnitude * np.exp(1j * phase), dtype=np.complex64)
    refused(3, "some echoes are complex numbers", name="echoes", **FIELD)


def test_a_field_is_made_of_a_phase(hz):
    refused(3, "received a field in hz", name="hz.nii", units="hz", echo_time=0.02, **FIELD)
    save("hz4.nii", np.stack([hz, hz, hz], -1))
    refused(3, "received a field in hz", name="hz4.nii", units="hz", echo_time=TE, **MAP)
    complains(apply("phase4.nii", **FIELD, echo_time=TE, b0_dir="[0, 0, 1]"), 2, "b0_dir")
    complains(apply("phase4.nii", **FIELD, echo_time=TE, out="mag4.nii", magnitude="mag4.nii"), 2)
