"""The net that comes with the package: is it what it says, and as good as it should be?"""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from famulus import tasks
from famulus.config.experiment import read
from famulus.launch.trained import open_trained
from famulus.tasks.qsm.baselines import invert
from famulus.tasks.qsm.map_scores import nrmse
from famulus.tasks.qsm.ndi import Grid, referenced
from famulus.tasks.qsm.phantoms import Scan, scan, shapes
from famulus.tasks.qsm.qsm import SHIPPED
from famulus.tasks.qsm.rho import rho_in, sane
from tests.launch.tiny import famulus

FILE = Path(__file__).parents[3] / "experiments/qsm/one-net.yaml"
SIDE = 40
LARGEST = 200_000  # bytes of all that is shipped
GIVEN = ("--units", "rad", "--mask", "mask.nii.gz", "--echo-time", "0.025")
GIVEN += ("--field-strength", "3", "-o", "chi.nii.gz")


@pytest.fixture(scope="module")
def trained():
    return open_trained(SHIPPED["learned"])


def test_it_was_trained_by_the_experiment_that_is_named(trained):
    (cell,) = read(FILE, task=tasks.load).cells
    about = json.loads((SHIPPED["learned"] / "model.json").read_text())
    for section in ("task", "data", "model", "loss", "training"):  # not its words
        assert about["settings"][section] == cell.config[section], section
    assert type(trained.module).__name__ == "AdaptiveNdi"


def test_it_is_small_and_names_no_place():
    files = [p for p in SHIPPED["learned"].rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < LARGEST
    for path in files:
        if path.suffix != ".safetensors":
            text = path.read_text()
            assert not any(word in text for word in ("/tmp", "/home", "/root", "/work", "\\Users"))


def test_its_examples_come_out():
    said = famulus("apply", str(SHIPPED["learned"]), "--verify")
    assert said.code == 0, said.err


@pytest.mark.parametrize("voxel_mm", [1.0, 2.0])
@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_it_is_no_worse_than_tkd_and_tikhonov_tuned_on_the_truth(trained, noise, voxel_mm):
    """On solids that it never saw; the tuning knows the truth, the net does not."""
    truths = [shapes((SIDE,) * 3, seed, voxel_mm) for seed in (3, 5)]
    grid, how = Grid(truths[0].mask.shape, truths[0].geometry), Scan(snr=1 / noise)
    best, ours = [], []
    for i, truth in enumerate(truths):
        phase = torch.from_numpy(scan(truth, how, 100 + i)["phase"])[None]
        mask = torch.from_numpy(truth.mask)[None]

        def score(chi, mask=mask, truth=truth):
            chi = referenced(chi / how.rad_per_ppm, mask)[0].numpy()
            return nrmse(chi, truth.chi_ppm, truth.mask)

        rho = sane(rho_in("signal", phase, mask, truth.geometry))
        with torch.no_grad():
            ours.append(score(grid.run(trained.module, phase, mask, rho)))
        tried = [("tkd", "threshold", v) for v in np.geomspace(0.03, 0.6, 16)]
        tried += [("tikhonov", "alpha", v) for v in np.geomspace(5e-4, 1.0, 16)]
        best.append(min(score(invert(m, phase, mask, 1.0, grid, {k: v})[0]) for m, k, v in tried))
    assert np.mean(ours) < np.mean(best)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = shapes((24,) * 3, 1)
    found = scan(truth, Scan(snr=50.0), 1)
    save("phase.nii.gz", found["phase"])
    save("mask.nii.gz", truth.mask)
    save("mag.nii.gz", found["weight"])
    return tmp_path


def save(name, values, voxel_mm=1.0):
    affine = np.diag([voxel_mm] * 3 + [1.0])
    image = nibabel.Nifti1Image(np.asarray(values, np.float32).T, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    nibabel.save(image, name)


def test_a_scan_needs_no_training(folder):
    said = famulus("apply", "phase.nii.gz", "--method", "learned", *GIVEN)
    assert said.code == 0, said.err
    facts = json.loads(Path("chi.json").read_text())
    assert facts["Method"] == "NDI with learned steps"
    assert facts["Weights"] == "mask"
    assert "UnlikeTraining" not in facts
    said = famulus(
        "apply", "phase.nii.gz", "--method", "learned", "--magnitude", "mag.nii.gz", *GIVEN
    )
    assert said.code == 0, said.err
    assert json.loads(Path("chi.json").read_text())["Weights"] == "magnitude"


@pytest.mark.parametrize(
    ("voxel_mm", "words"), [(0.3, "Tikhonov"), (5.0, "trained on 0.5 to 3 mm")]
)
def test_voxels_that_it_never_saw_are_said(folder, voxel_mm, words):
    values = {n: nibabel.load(n).get_fdata().T for n in ("phase.nii.gz", "mask.nii.gz")}
    for name, value in values.items():
        save(name, value, voxel_mm)
    said = famulus("apply", "phase.nii.gz", "--method", "learned", *GIVEN)
    assert said.code == 0, said.err
    assert words in said.err
    assert any(words in one for one in json.loads(Path("chi.json").read_text())["UnlikeTraining"])


def test_a_mistyped_method_is_told_its_name(folder):
    said = famulus("apply", "phase.nii.gz", "--method", "learnt", *GIVEN)
    assert said.code == 2
    assert "learned" in said.err
