"""The task from end to end on tiny maps: loss, scores, floors, pictures, and a file in and out."""

import json

import nibabel
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from famulus.config.errors import FamulusError
from famulus.feed.feeder import validation_seeds
from famulus.tasks.base import Position
from famulus.tasks.qsm.baselines import invert
from famulus.tasks.qsm.map_scores import nrmse
from famulus.tasks.qsm.ndi import referenced
from famulus.tasks.qsm.phantoms import Scan, scan, shapes
from famulus.tasks.qsm.qsm import Qsm, QsmConfig

START = Position(0, 0, 0, 0)
TINY = {"size": 12, "train": 2, "validation": 2, "snr": [20.0, None]}


def task(data=None, **model):
    config = QsmConfig.model_validate({"data": {**TINY, **(data or {})}, "model": model})
    return Qsm(config, {})


def batch_of(source, count=2):
    return source.gather(np.arange(count), np.arange(count).astype(np.uint64))


def test_spectrum_and_volume_tell_one_loss():
    """Noise-free, with mask everywhere, one echo so short that sin x = x."""
    data = {"snr": [None], "te_ms": 0.01, "weights": "none"}
    volume, spectrum = (task({**data, "form": f}, steps=5) for f in ("volume", "spectrum"))
    torch.manual_seed(0)
    net = volume.build().double()
    losses = [
        float(t.loss(net, _double(batch_of(t.data().train)), START)["total"].detach())
        for t in (volume, spectrum)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def _double(batch):
    return {n: v.double() if v.is_floating_point() else v for n, v in batch.items()}


@pytest.mark.parametrize(
    "model",
    [
        {"steps": 6},
        {"steps": 4, "learn": "total", "start": "random"},
        {"steps": 4, "learn": "noise", "momentum": True, "precondition": True},
    ],
)
@pytest.mark.parametrize("form", ["volume", "spectrum"])
def test_a_few_steps_of_training_help(model, form):
    t = task({"form": form}, **model)
    torch.manual_seed(0)
    net = t.build()
    batch = batch_of(t.data().train)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = t.loss(net, batch, START)["total"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    scores = t.scores(net.eval(), [batch_of(t.data().validation)])
    assert scores["growth"] <= 1 + 1e-6
    assert all(np.isfinite(v) for v in scores.values())


def test_scores_are_of_maps_in_ppm():
    t = task({"snr": [None]}, steps=30)
    net = t.build()
    source = t.data().validation
    batch = batch_of(source)
    scores = t.scores(net, [batch])
    with torch.no_grad():
        chi = t._invert(net, batch)
    exact = [nrmse(chi[i].numpy(), source.truth(i).chi_ppm, source.truth(i).mask) for i in (0, 1)]
    assert scores["nrmse"] == pytest.approx(np.mean(exact), rel=1e-5)
    assert scores["total_step"] == pytest.approx(60)
    assert scores["loss"] == pytest.approx(np.mean(np.square(exact)) / 1e4, rel=1e-2)


def test_floors_hold_for_nets_that_do_nothing():
    t = task(steps=1, tau=1e-9)
    floors = t.floors(t.data())
    scores = t.scores(t.build(), [batch_of(t.data().validation)])
    assert scores["loss"] == pytest.approx(floors["zero image"].value, rel=1e-4)
    assert scores["nrmse"] == pytest.approx(floors["zero image, nrmse"].value, rel=1e-4)
    names = [name for name in floors if name.endswith(", nrmse")]
    assert {"NDI, 10 steps of 2, nrmse", "NDI, 200 steps of 2, nrmse", "TKD, nrmse"} <= set(names)


def test_spectrum_floors_are_in_order():
    t = task({"form": "spectrum", "weights": "none"}, steps=10)
    stated = t.floors(t.data())
    assert stated["best single filter"].means == "best possible"
    floors = {n: f.value for n, f in stated.items()}
    least = floors.pop("best single filter")
    assert all(v >= least for v in floors.values())
    assert floors["zero image"] == pytest.approx(1)
    t = task({"form": "spectrum", "weights": "none"}, steps=10, learn="noise")
    assert "best single filter" not in t.floors(t.data())  # steps that follow the noise may beat it


def test_weights_change_the_map():
    maps = {}
    for kind in ("none", "mask", "magnitude"):
        t = task({"weights": kind}, steps=10)
        with torch.no_grad():
            maps[kind] = t._invert(t.build(), batch_of(t.data().train))
    assert (maps["magnitude"] - maps["mask"]).abs().max() > 1e-3
    assert torch.allclose(maps["none"], maps["mask"])  # shapes: the mask is everywhere


def test_small_weights_stop_untrained_steps_later():
    """Half the weight is a quarter of each step: NDI gets four times as many, and the same map."""
    t = task({"size": 24, "snr": [100.0]})
    batch = batch_of(t.data().train, 1)
    phase, rho = batch["phase"], float(batch["rho"][0])
    whole, first = invert("ndi", phase, torch.ones_like(phase), rho, t._grid(1.0), {"tau": 0.5})
    half, second = invert(
        "ndi", phase, torch.full_like(phase, 0.5), rho, t._grid(1.0), {"tau": 0.5}
    )
    assert second["Steps"] == pytest.approx(4 * first["Steps"], abs=2)
    assert float((half - whole).norm() / whole.norm()) < 0.05


def test_pictures():
    for form in ("volume", "spectrum"):
        t = task({"form": form}, steps=4, learn="noise", momentum=True)
        pictures = t.pictures(t.build().eval(), batch_of(t.data().validation))
        assert set(pictures) == {"steps", "filter", "maps", "kernel"}
        assert {"truth", "learned", "NDI, 26 steps of 2"} <= set(pictures["maps"].rows)
        for picture in pictures.values():
            assert len({row.shape for row in picture.rows.values()}) == 1
            assert all(row.dtype == np.uint8 for row in picture.rows.values())
        assert "4 steps" in pictures["steps"].caption


def test_contradictions_are_refused():
    with pytest.raises(ValidationError, match="W = 1"):
        task({"form": "spectrum", "weights": "magnitude"})
    with pytest.raises(ValidationError, match=r"data\.snr"):
        task({"snr": [0.1]})


# -- files ---------------------------------------------------------------------------------------


@pytest.fixture
def subject(tmp_path, monkeypatch):
    """A scan on disk, oblique and anisotropic; returns its truth."""
    monkeypatch.chdir(tmp_path)
    truth = shapes((16, 15, 14), 3)
    found = scan(truth, Scan(snr=100.0), 1)
    values = {"phase": found["phase"], "mag": truth.magnitude, "mask": truth.mask}
    for name, volume in values.items():
        image = nibabel.Nifti1Image(volume.T, np.eye(4))
        image.set_sform(np.eye(4), code=1)
        image.set_qform(np.eye(4), code=1)
        nibabel.save(image, f"{name}.nii.gz")
    return truth


OPTIONS = {
    "units": "rad",
    "mask": "mask.nii.gz",
    "magnitude": "mag.nii.gz",
    "echo_time": 0.025,
    "field_strength": 3,
}


@pytest.mark.parametrize(
    ("method", "more", "fact"),
    [
        ("tkd", {}, "Threshold"),
        ("tikhonov", {"alpha": 0.01}, "Alpha"),
        ("ndi", {"steps": 30}, "TotalStep"),
    ],
)
def test_methods_without_a_run(subject, tmp_path, method, more, fact):
    Qsm.apply_method(method, "phase.nii.gz", "sub-1_Chimap.nii.gz", {**OPTIONS, **more})
    out = nibabel.load("sub-1_Chimap.nii.gz")
    assert out.get_data_dtype() == np.float32
    assert nrmse(out.get_fdata().T, subject.chi_ppm, subject.mask) < 70
    facts = json.loads((tmp_path / "sub-1_Chimap.json").read_text())
    assert facts["Units"] == "ppm"
    assert "mean of the mask" in facts["Reference"]
    assert fact in facts
    if more:
        assert facts[fact] == pytest.approx(more.get("alpha", 60))


def test_apply_a_trained_net(subject, tmp_path):
    t = task(steps=8, learn="noise", momentum=True)
    with torch.no_grad():
        t.apply(t.build().eval(), "phase.nii.gz", "chi.nii.gz", OPTIONS)
    out = nibabel.load("chi.nii.gz").get_fdata().T
    assert nrmse(out, subject.chi_ppm, subject.mask) < 80
    facts = json.loads((tmp_path / "chi.json").read_text())
    assert len(facts["Steps"]) == len(facts["Momentum"]) == 8
    t.apply(t.build(), "phase.nii.gz", "other.nii.gz", {**OPTIONS, "method": "tkd"})
    assert json.loads((tmp_path / "other.json").read_text())["Method"] == "TKD"


@pytest.mark.parametrize(
    ("method", "more", "says"),
    [
        ("medi", {}, "expected one of field, learned, ndi, tikhonov, tkd"),
        ("tkd", {"threshold": 0.9}, "between 0 and 2/3"),
        ("tkd", {"alpha": 0.1}, "--alpha"),
        ("ndi", {"tau": 5}, "0 < tau < 4.5"),
        ("ndi", {"steps": -1}, "above 0"),
        ("ndi", {"echo_tme": 1}, "did you mean 'echo_time'"),
    ],
)
def test_nothing_is_written_when_something_is_wrong(subject, tmp_path, method, more, says):
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(FamulusError, match=says):
        Qsm.apply_method(method, "phase.nii.gz", "chi.nii.gz", {**OPTIONS, **more})
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_baselines_have_the_noise_of_validation():
    """A range gives a sample the noise of its seed: no method may be compared at another one."""
    t = task({"size": 24, "snr_range": [3.0, 1000.0], "noise": "signal"}, steps=1)
    held_out = t.data().validation
    scores = []
    for i in range(len(held_out)):
        index = np.array([i])
        batch = held_out.gather(index, validation_seeds(index))
        chi, _ = invert("tikhonov", batch["phase"], None, float(batch["rho"][0]), t._grid(1.0), {})
        chi = referenced(chi / float(batch["rad_per_ppm"][0]), batch["mask"])[0].numpy()
        scores.append(nrmse(chi, batch["chi"][0].numpy(), batch["mask"][0].numpy()))
    assert t.floors(t.data())["Tikhonov, nrmse"].value == pytest.approx(np.mean(scores), rel=1e-5)
