"""`famulus apply` for scans, as people type it: with a method, with a run, and with mistakes."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from famulus import load
from famulus.config.errors import ConfigError, DataError
from famulus.tasks.qsm.map_scores import nrmse
from famulus.tasks.qsm.phantoms import Scan, scan, shapes
from famulus.volumes import nifti
from tests.launch.tiny import complains, famulus

NDI = """\
why: do a few steps learn?
task: qsm
data: {size: 12, train: 4, validation: 2, snr: [50], weights: magnitude}
model: {steps: 8, learn: noise, momentum: true, precondition: true, tau: 1.0}
training:
  inputs: 16
  batch: 4
  optimizer: {name: adam, lr: 0.03}
  precision: fp32
  threads: 1
"""
GIVEN = ("--magnitude", "mag.nii.gz", "--mask", "mask.nii.gz", "--echo-time", "0.025")
GIVEN += ("--field-strength", "3")
OUT = ("-o", "sub-1_Chimap.nii.gz")
WORDS = (
    ("magnitude", "mask", "echo_time", "field_strength"),
    ("mag.nii.gz", "mask.nii.gz", 0.025, 3),
)


@pytest.fixture
def truth(tmp_path, monkeypatch):
    """A scan in the working folder: phase.nii.gz, mag.nii.gz, mask.nii.gz, 1.5 x 1 x 1 mm."""
    monkeypatch.chdir(tmp_path)
    made = shapes((16, 15, 14), 3)
    found = scan(made, Scan(snr=100.0), 1)
    for name, volume in {"phase": found["phase"], "mag": made.magnitude, "mask": made.mask}.items():
        save(f"{name}.nii.gz", volume.T)
    return made


def save(name, values, affine=None):
    image = nibabel.Nifti1Image(values.astype(np.float32), np.eye(4) if affine is None else affine)
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    nibabel.save(image, name)


def judged(truth):
    out = nibabel.load("sub-1_Chimap.nii.gz")
    assert out.get_data_dtype() == np.float32
    assert np.allclose(out.affine, nibabel.load("phase.nii.gz").affine)
    assert nrmse(out.get_fdata().T, truth.chi_ppm, truth.mask) < 70
    return json.loads(Path("sub-1_Chimap.json").read_text())


@pytest.mark.parametrize("method", ["tkd", "tikhonov", "ndi"])
def test_without_a_run(truth, method):
    said = famulus("apply", "phase.nii.gz", "--method", method, "--units", "rad", *GIVEN, *OUT)
    assert (said.code, said.out) == (0, "sub-1_Chimap.nii.gz\n"), said.err
    facts = judged(truth)
    assert facts["Method"].lower() == method
    assert facts["Weights"] == ("magnitude" if method == "ndi" else "none")


def test_with_a_run(truth):
    Path("ndi.yaml").write_text(NDI)
    assert famulus("run", "ndi.yaml", "--store", "runs", "--no-journal").code == 0
    said = famulus("apply", "last", "phase.nii.gz", *GIVEN, *OUT, "--store", "runs")
    assert said.code == 0, said.err
    assert said.err.count("note: ") == 1
    assert "InputUnits rad: --echo-time was given" in said.err
    assert len(judged(truth)["Steps"]) == 8
    words = ("--option", "units=rad", "--method=tkd", "--threshold", "0.2")
    said = famulus("apply", "last", "phase.nii.gz", *words, *GIVEN, *OUT, "--store", "runs")
    assert said.code == 0, said.err
    assert judged(truth)["Threshold"] == 0.2


@pytest.mark.filterwarnings("ignore:.*the net was trained on")  # on maps of this package's own
def test_arrays_give_what_their_files_give(truth):
    Path("ndi.yaml").write_text(NDI)
    assert famulus("run", "ndi.yaml", "--store", "runs", "--no-journal").code == 0
    assert famulus("apply", "last", "phase.nii.gz", *GIVEN, *OUT, "--store", "runs").code == 0
    told = nifti.read(Path("sub-1_Chimap.nii.gz")).values
    model = load("last", "runs")
    phase, magnitude, mask = (
        nifti.read(Path(f"{n}.nii.gz")).values for n in ("phase", "mag", "mask")
    )
    given = {"voxel_zyx_mm": (1, 1, 1), "units": "rad", "echo_time": 0.025, "field_strength": 3}
    given |= {"magnitude": magnitude, "mask": mask}
    made = model.apply(phase, **given)
    assert np.array_equal(made, told)
    assert made.std() > 1e-3  # it is no zero map
    assert np.array_equal(model.apply(np.stack([phase, phase]), **given)[1], told)
    given["mask"] = torch.from_numpy(mask)
    assert np.array_equal(model.apply(torch.from_numpy(phase), **given).numpy(), told)
    # voxels of another shape are another geometry
    assert not np.allclose(
        model.apply(phase, **given | {"voxel_zyx_mm": (2, 1, 1)}), told, atol=1e-3
    )
    with pytest.warns(UserWarning, match="echo-time was given"):
        files = model.apply("phase.nii.gz", **dict(zip(*WORDS, strict=True)))
    assert np.array_equal(files["chi.nii.gz"], told)
    assert files["chi.json"]["Units"] == "ppm"
    for key, value, words in (
        ("voxel_zyx_mm", None, "voxel_zyx_mm: expected three lengths"),
        ("mask", mask[1:], "voxels of"),
        ("echo_time", None, "expected --echo-time"),
        ("voxel", 1, "did you mean"),
    ):
        with pytest.raises((ConfigError, DataError), match=words):
            model.apply(phase, **given | {key: value})


def test_what_is_not_used_or_not_understood_is_told(truth):
    values = nibabel.load("phase.nii.gz").get_fdata()
    save("phase.nii.gz", np.angle(np.exp(12j * values)))
    said = famulus("apply", "phase.nii.gz", *TKD, *GIVEN, *OUT)
    assert said.code == 0, said.err
    notes = [line for line in said.err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 2
    assert "the magnitude is not used" in notes[0]
    assert "are wraps" in notes[1]
    said = famulus("apply", "phase.nii.gz", "--method", "ndi", "--units", "rad", *GIVEN, *OUT)
    assert (said.code, said.err) == (0, "")


TKD = ("--method", "tkd", "--units", "rad")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "--method"),
        (("--method", "medi"), 2, "expected one of field, learned, ndi, tikhonov, tkd"),
        ((*TKD, "--echo-tme", "1"), 2, "did you mean 'echo_time'"),
        ((*TKD, "--echo-time"), 2, "--echo-time: expected a value"),
        ((*TKD, "--mask", "mag.nii"), 3, "mag.nii: expected a NIfTI file, found none"),
        ((*TKD, "--echo-time", "25"), 2, "expected 1e-05 to 1 seconds, received 25"),
        ((*TKD, "--b0-dir", "[0, 0]"), 2, "three numbers"),
        ((*TKD, "-o", "map.mgz"), 2, "ends in .nii or .nii.gz"),
        ((*TKD, "-o", "none/map.nii"), 2, "expected a folder that exists"),
        ((*TKD, "-o", "mag.nii.gz"), 2, "is an input"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(truth, words, code, says):
    before = {p: p.read_bytes() for p in Path().iterdir()}
    complains(famulus("apply", "phase.nii.gz", *GIVEN, *OUT, *words), code, says)
    assert {p: p.read_bytes() for p in Path().iterdir()} == before
