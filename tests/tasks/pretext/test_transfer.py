"""Task transfer: the parent's encoder, thawing, rates a layer, floors, examiner, apply."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from famulus.config.errors import ConfigError
from famulus.feed.feeder import Feeder, validation_batches
from famulus.tasks.base import Parent, Position
from famulus.tasks.pretext.pretext import Pretext, PretextConfig
from famulus.tasks.pretext.transfer import Transfer, TransferConfig

DATA = {"name": "digits", "subset": 200, "validation": 100}
ENCODER = {"kind": "conv", "channels": [8, 16, 16]}


def parent(channels=(8, 16, 16)):
    encoder = ENCODER | {"channels": list(channels)}
    config = PretextConfig(data={**DATA, "pretext": "unmix"}, model={"encoder": encoder})
    torch.manual_seed(7)
    net = Pretext(config, {}).build()
    plain = config.model_dump(mode="json", by_alias=True) | {"task": "pretext"}
    return Parent("abc123", plain, {k: v.clone() for k, v in net.state_dict().items()})


def make(start=None, data=None, **model):
    config = TransferConfig(data=DATA | (data or {}), model=model)
    task = Transfer(config, {"pretext": start} if start else {})
    torch.manual_seed(0)
    return task, task.build()


def at(inputs):
    return Position(step=inputs // 32, inputs=inputs, epoch=0, seed=0)


def train(task, net, steps, lr=1e-2):
    groups = task.param_groups(net)
    optimizer = torch.optim.Adam([{**g, "lr": lr * g["lr_scale"]} for g in groups])
    feeder = Feeder(task.data().train, 32, 0, "cpu")
    for step in range(steps):
        task.on_inputs(net, at(step * 32))
        loss = task.loss(net.train(), next(feeder), at(step * 32))["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def scores(task, net):
    with torch.no_grad():
        return task.scores(net.eval(), validation_batches(task.data().validation, 64, "cpu"))


def test_smoothed_labels_share_some_of_one_among_all_classes():
    """Nats of (1 - s) label + s / K each; validation looks at the labels as they are."""
    config = TransferConfig(data=DATA, loss={"label_smoothing": 0.2})
    task = Transfer(config, {})
    torch.manual_seed(0)
    net = task.build().eval()
    batch = next(iter(validation_batches(task.data().validation, 64, "cpu")))
    with torch.no_grad():
        log_p = net(batch["image"]).double().log_softmax(1)
        loss = task.loss(net, batch, at(0))["total"].item()
        score = task.scores(net, [batch])["loss"]
    own = -log_p[torch.arange(64), batch["label"]].mean().item()
    assert loss == pytest.approx(0.8 * own - 0.2 * log_p.mean().item(), rel=1e-5)
    assert score == pytest.approx(own, rel=1e-5)
    assert abs(loss - own) > 1e-4


def test_the_parents_encoder_starts_here():
    start = parent()
    _, net = make(start)
    for name, value in net.encoder.state_dict().items():
        assert torch.equal(value, start.weights[f"encoder.{name}"])
    _, fresh = make(encoder=ENCODER)
    assert not torch.equal(fresh.encoder.stages[0][0].weight, net.encoder.stages[0][0].weight)
    assert fresh.encoder.stages[0][0].weight.shape == net.encoder.stages[0][0].weight.shape


def test_another_encoder_or_task_is_refused():
    with pytest.raises(ConfigError, match="expected null or that of run abc123"):
        make(parent(), encoder=ENCODER | {"channels": [4]})
    make(parent(), encoder=ENCODER)  # the same, named again: a matrix needs that
    tiles = Parent("x", {"task": "tiles"}, {})
    with pytest.raises(ConfigError, match="expected a run of task pretext"):
        Transfer(TransferConfig(data=DATA), {"pretext": tiles})
    other = parent()
    broken = Parent(other.run, other.config, {"encoder.stages.0.0.weight": torch.zeros(1)})
    with pytest.raises(ConfigError, match="no weight fits"):
        make(broken)


def test_it_learns_and_beats_its_floors_which_are_in_place():
    task, net = make(encoder=ENCODER)
    floors = task.floors(task.data())
    assert floors["raw pixels"].value > 0.8  # digits are easy for neighbours
    assert floors["initial loss"].value == pytest.approx(np.log(10))
    train(task, net, 80)
    found = scores(task, net)
    assert found["loss"] < floors["best constant"].value / 2
    assert found["accuracy"] > 0.7 > floors["commonest"].value
    labels = torch.from_numpy(task.data().validation.labels)
    counts = torch.bincount(labels, minlength=10)
    p = counts.double() / counts.sum()
    assert floors["best constant"].value == pytest.approx(float(-(p * p.log()).sum()), abs=1e-6)


def test_a_probe_moves_nothing_but_its_head():
    task, net = make(parent(), frozen="all")
    before = {k: v.clone() for k, v in net.encoder.state_dict().items()}
    train(task, net, 5)
    assert all(torch.equal(before[k], v) for k, v in net.encoder.state_dict().items())
    assert len(task.param_groups(net)) == 1


def test_stages_thaw_by_inputs_from_the_last():
    task, net = make(parent(), frozen="all", thaw_every=64, layer_decay=0.5)
    groups = task.param_groups(net)
    assert [g["lr_scale"] for g in groups] == [1.0, 0.5, 0.25, 0.125]
    weights = [stage[0].weight.clone() for stage in net.stages]
    train(task, net, 3)  # at 0, 32 and 64 inputs: the last stage moves once
    moved = [not torch.equal(w, s[0].weight) for w, s in zip(weights, net.stages, strict=True)]
    assert moved == [False, False, True]
    train(task, net, 8)
    assert all(not torch.equal(w, s[0].weight) for w, s in zip(weights, net.stages, strict=True))


def test_pictures_name_files_and_show_the_table():
    task, net = make(encoder=ENCODER)
    with torch.no_grad():
        pictures = task.pictures(net.eval(), {})
    assert {"most-wrong", "least-sure", "most-sure", "confusion"} <= set(pictures)
    assert "validation/" in pictures["most-wrong"].caption
    assert "answered" in pictures["most-wrong"].caption
    table = pictures["confusion"].rows["fraction of the row"]
    assert table.shape == (120, 120, 3)
    examiner = task.examine(net)
    assert examiner.true_counts == list(task.data().validation.counts.values())


def test_apply_answers_and_examines_by_the_folders_names(tmp_path):
    task, net = make(encoder=ENCODER)
    train(task, net, 80)
    source = task.data().validation
    for i in range(30):
        folder = tmp_path / "mine" / source.classes[source.labels[i]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(source.base.images[i, 0]).save(folder / f"{i}.png")
    Image.fromarray(source.base.images[40, 0]).save(tmp_path / "mine" / "unknown.png")
    task.apply(net, tmp_path / "mine", tmp_path / "out", {})
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 31
    report = json.loads((tmp_path / "out" / "examined.json").read_text())
    right = sum(row["file"].split("/")[0] == row["class"] for row in rows if "/" in row["file"])
    assert report["pictures"] == 30
    assert report["accuracy"] == pytest.approx(right / 30)
    assert right > 15
    wrong = report["all"]["most wrong"]
    assert all(line["true"] != line["said"] for line in wrong)
    task.apply(net, tmp_path / "mine", tmp_path / "out", {"features": True})
    assert (tmp_path / "out" / "features.npz").exists()
    with pytest.raises(ConfigError, match="received sample"):
        task.apply(net, tmp_path / "mine", tmp_path / "out", {"sample": 1})
    with pytest.raises(ConfigError, match="features: expected true or false, received 'yes'"):
        task.apply(net, tmp_path / "mine", tmp_path / "out", {"features": "yes"})


def test_a_run_stands_on_another_in_the_store(tmp_path):
    """From one file to the next by lineage, through the command line."""
    from typer.testing import CliRunner

    from famulus.cli import app

    training = (
        "training: {inputs: 256, batch: 32, precision: fp32, threads: 1,"
        " optimizer: {name: adam, lr: 0.003}}\n"
    )
    first = "why: x\ntask: pretext\ndata: {name: digits, pretext: rotation, subset: 64,"
    first += " validation: 40}\nmodel: {encoder: {kind: conv, channels: [4, 8]}}\n" + training
    (tmp_path / "first.yaml").write_text(first)
    second = "why: x\ntask: transfer\npretext: last:first@last\ndata: {name: digits, subset: 64,"
    second += " validation: 40}\nmodel: {frozen: all}\n" + training
    (tmp_path / "second.yaml").write_text(second)
    for name in ("first", "second"):
        args = ["run", str(tmp_path / f"{name}.yaml"), "--store", str(tmp_path / "store")]
        result = CliRunner().invoke(app, args)
        assert result.exit_code == 0, result.output
    from famulus.store.store import Store

    store = Store.open(tmp_path / "store")
    run = store.find("last:second")
    assert run.status() == "finished"
    assert run.config()["pretext"]["run"] == store.find("last:first").id
    assert {"val/accuracy", "val/knn"} <= set(run.done()["scores"])
