"""`famulus new TASK --data PATH`: the file runs with no edit, and says what it follows from."""

import json
import os

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from famulus.config.yaml import load
from famulus.launch import proposal
from famulus.launch.actions import read_plan
from famulus.tasks.qsm.dipole import Geometry, dipole_field
from famulus.tasks.qsm.phantoms import shapes
from famulus.tasks.qsm.records import write_record
from tests.images.test_look import photographs
from tests.launch.tiny import complains, famulus

RNG = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAMULUS_DATA", str(tmp_path / "nothing"))


def pictures(folder):
    photographs(folder / "photos", each=24)
    return "photos"


def grey_pictures(folder):
    images = RNG.integers(0, 256, (120, 12, 12), dtype=np.uint8)
    np.savez(folder / "grey.npz", images=images, labels=np.arange(120) % 2)
    return "./grey.npz"


def volume(folder, labels):
    # cubes differ in brightness, so that there is something to rebuild, and ink to find
    place = folder / "fragment"
    (place / "surface_volume").mkdir(parents=True)
    from PIL import Image

    ink = np.kron(RNG.random((16, 16)) < 0.4, np.ones((8, 8), bool))
    for z in range(16):
        plane = 8000 + 9000 * ink + RNG.integers(0, 6000, (128, 128))
        Image.fromarray(plane.astype(np.uint16)).save(place / "surface_volume" / f"{z:02d}.tif")
    if labels:
        Image.fromarray((255 * ink).astype(np.uint8)).save(place / "inklabels.png")
    return "fragment"


def records(folder):
    (folder / "maps").mkdir()
    for n in range(10):
        write_record(folder / "maps" / f"{n}.npz", shapes((16, 16, 16), n, 1.0))
    return "maps"


def scan(folder):
    (folder / "scan").mkdir()
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    chi = torch.from_numpy(shapes((16, 16, 16), 3, 2.0).chi_ppm)[None]
    phase = 4 * dipole_field(chi, Geometry.aligned((2.0,) * 3))[0].numpy()
    for name, values in (("phase", phase), ("mag", np.ones_like(phase))):
        image = nibabel.Nifti1Image(values.T.astype(np.float32), affine)
        nibabel.save(image, folder / "scan" / f"sub-1_part-{name}_GRE.nii.gz")
    about = {"EchoTime": 0.0121, "MagneticFieldStrength": 7}
    (folder / "scan" / "sub-1_part-phase_GRE.json").write_text(json.dumps(about))
    return "scan"


CASES = {
    "codes": ("codes", pictures),
    "codes-grey": ("codes", grey_pictures),
    "tiles": ("tiles", pictures),
    "tiles-grey": ("tiles", grey_pictures),
    "pretext": ("pretext", pictures),
    "pretext-grey": ("pretext", grey_pictures),
    "transfer": ("transfer", pictures),
    "transfer-grey": ("transfer", grey_pictures),
    "scroll": ("scroll", lambda folder: volume(folder, labels=False)),
    "scroll-ink": ("scroll", lambda folder: volume(folder, labels=True)),
    "qsm-records": ("qsm", records),
    "qsm-scan": ("qsm", scan),
}


@pytest.mark.parametrize("case", CASES)
def test_the_file_runs_with_no_edit(tmp_path, case):
    task, make = CASES[case]
    name = make(tmp_path)
    said = famulus("new", task, "--data", name, "-o", "mine.yaml")
    assert said.code == 0, said
    plan = read_plan(tmp_path / "mine.yaml", (), ())
    training = plan.cells[0].settings.training
    assert training.inputs >= 10 * training.batch
    assert training.schedule.warmup_inputs < training.inputs
    # as it stands but for its length, and for what is measured before a run
    changes = [f"inputs={2 * training.batch}", "schedule.warmup_inputs=0", "probes=false"]
    changes += ["threads=1", "precision=fp32"]
    short = [word for change in changes for word in ("--set", f"training.{change}")]
    done = famulus("run", "mine.yaml", *short, "--store", "runs", "--no-journal")
    assert done.code == 0, done
    checked = famulus("check", "mine.yaml", "--store", "runs", "--budget", "1", "--json")
    assert checked.code == 0, [c for c in checked.json() if c["verdict"] == "failed"]
    assert checked.json()[0]["name"] == "forecast"


def test_what_was_seen_stands_in_the_file(tmp_path):
    folder = pictures(tmp_path)
    (tmp_path / folder / "train" / "cat" / "broken\nline.png").write_bytes(b"no")
    text = famulus("new", "codes", "--data", folder).out
    comments = [line for line in text.splitlines() if line.startswith("#")]
    for words in ("72 training and 6 validation", "60x40", "uint8", "broken", "samples/s"):
        assert any(words in line for line in comments), words
    settings = load(text, "new.yaml").value
    assert settings["data"] == {
        "name": "photos", "size": 64, "channels": 3, "fit": "letterbox", "scaling": "standard",
    }  # fmt: skip
    assert settings["model"]["quantiser"]["dim"] == 4
    assert settings["model"]["quantiser"]["decay"] == 0.95


def test_drawings_in_black_ink_are_proposed_on_white_with_the_reason(tmp_path):
    for n in range(40):
        pixels = RNG.integers(0, 256, (12, 12, 4), dtype=np.uint8)
        pixels[..., :3] *= n % 10 != 0  # every tenth is black
        (tmp_path / "drawings").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "drawings" / f"{n:02d}.png")
    text = famulus("new", "tiles", "--data", "drawings").out
    assert load(text, "new.yaml").value["data"]["background"] == "white"
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert any("4 on black, 0 here" in line for line in comments)
    assert any("laid on white" in line for line in comments)
    assert not any("laid on black" in line for line in comments)


def test_why_there_are_no_classes_is_said_where_they_are_needed(tmp_path):
    folder = tmp_path / pictures(tmp_path) / "train"
    (folder / "cat" / "tabby").mkdir()
    (folder / "cat" / "0000.png").rename(folder / "cat" / "tabby" / "a.png")
    complains(famulus("new", "transfer", "--data", "photos"), 3, "lie in folders inside class")


def test_a_scans_own_figures_are_those_of_its_sidecar(tmp_path):
    settings = load(famulus("new", "qsm", "--data", scan(tmp_path)).out, "new.yaml").value
    data = settings["data"]
    assert (data["b0_t"], data["te_ms"], data["voxel_mm"]) == (7, 12.1, 2)


def test_the_budget_is_ten_minutes_of_the_steps_that_were_timed(monkeypatch):
    """With steps of .3 s, validations of 2 s and pictures of 1 s, as a forecast adds them up."""

    class Data(list):
        slow = False

    def rehearsed(setup):
        training = setup.training
        steps = training.inputs / training.batch
        times = steps / training.validate_every.steps + 1
        drawn = steps / training.pictures_every.steps + 1
        return proposal.CostForecast(steps * 0.3 + times * 2 + drawn, 0, 0, step_s=0.3)

    monkeypatch.setattr(proposal, "rehearse", rehearsed)
    splits = type("Splits", (), {"train": Data(range(100_000)), "validation": Data(range(99))})
    inputs, validations, sentence = proposal._budget(None, splits, {"batch": 16})
    assert validations == 10
    seconds = inputs / 16 * 0.3 + 11 * 2 + 6
    assert seconds == pytest.approx(600, rel=0.03)  # two digits of samples
    assert sentence.startswith(("About 9 min 5", "About 10 min 0", "About 9 min 4"))
    few = type("Splits", (), {"train": Data(range(50)), "validation": Data(range(9))})
    assert proposal._budget(None, few, {"batch": 16})[0] == 200 * 50


def test_where_validations_take_long_there_are_fewer(monkeypatch):
    """Of 60 s each: ten would take the whole budget, and training would have none."""

    class Data(list):
        slow = False

    def rehearsed(setup):
        steps = setup.training.inputs / setup.training.batch
        times = steps / setup.training.validate_every.steps + 1
        return proposal.CostForecast(steps * 0.3 + times * 60, 0, 0, step_s=0.3)

    monkeypatch.setattr(proposal, "rehearse", rehearsed)
    splits = type("Splits", (), {"train": Data(range(100_000)), "validation": Data(range(99))})
    inputs, validations, sentence = proposal._budget(None, splits, {"batch": 16})
    assert inputs / 16 * 0.3 + 60 * (validations + 1) == pytest.approx(600, rel=0.03)
    assert 60 * (validations + 1) == pytest.approx(300, abs=60)
    assert "About 10 min 0" in sentence or "About 9 min 5" in sentence
    planned = proposal._planned({}, inputs, validations)
    assert inputs // planned["validate_every"]["inputs"] == validations
    assert planned["pictures_every"]["inputs"] >= planned["validate_every"]["inputs"]


def test_paths_are_written_as_they_lie_from_here(tmp_path):
    assert proposal.place(str(tmp_path / "photos")) == "./photos"
    assert proposal.place("photos/") == "photos"
    assert proposal.place("../photos") == "../photos"
    assert proposal.place("/elsewhere/photos") == "/elsewhere/photos"
    assert os.getcwd() == str(tmp_path)


def test_what_does_not_suit_is_one_line(tmp_path):
    complains(famulus("new", "prior", "--data", "digits"), 2, "codes", "tiles", "received prior")
    complains(famulus("new", "codes", "--data", "nowhere/x"), 3, "nowhere/x does not exist")
    complains(famulus("new", "qsm", "--data", "."), 3, "phase", ".npz records")
    images = RNG.integers(0, 256, (50, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "plain.npz", images=images)
    complains(famulus("new", "transfer", "--data", "./plain.npz"), 3, "classes")
    for name in ("cats/1.png", "cats/2.png", "cats/old/3.png", "dogs/4.png"):
        (tmp_path / "mixed" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[0]).save(tmp_path / "mixed" / name)
    said = famulus("new", "transfer", "--data", "./mixed")
    complains(said, 3, "1 in old", "or a table (.csv) with columns path and label")
    (tmp_path / "there.yaml").write_text("mine")
    complains(famulus("new", "codes", "--data", "digits", "-o", "there.yaml"), 2, "exists already")
    assert (tmp_path / "there.yaml").read_text() == "mine"


def test_the_plain_file_starts_with_what_was_measured_best_and_defaults_stay():
    start = load(famulus("new", "codes").out, "new.yaml").value["model"]["quantiser"]
    assert (start["dim"], start["decay"]) == (4, 0.95)
    from famulus.tasks.codes.net import QuantiserConfig

    assert (QuantiserConfig().dim, QuantiserConfig().decay) == (16, 0.99)  # old runs are named so
