"""Sets that are made, the histogram loss in the task, and pictures before and after a resize."""

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from famulus.config.errors import ConfigError
from famulus.config.identity import essence, run_id
from famulus.feed.feeder import validation_batches
from famulus.tasks.base import Position
from famulus.tasks.tiles.histogram import HistogramLoss
from famulus.tasks.tiles.noise import best_constant_l1
from famulus.tasks.tiles.tiles import Tiles, TilesConfig
from tests.images.picture_files import several, write

AT = Position(step=0, inputs=0, epoch=0, seed=0)
SMALL = {"kind": "autoencoder", "channels": [4], "code": 5}


def make(loss=None, **data):
    task = Tiles(TilesConfig(data=data, model=SMALL, loss=loss or {"reconstruction": "l1"}), {})
    torch.manual_seed(0)
    return task, task.build().eval()


def test_the_test_split_validates_where_that_is_said(tmp_path):
    name = write(tmp_path, [*several("train/cat", 30), *several("test/cat", 4)])
    splits = make(name=name, validation="test")[0].data()
    assert (len(splits.train), len(splits.validation)) == (30, 4)
    with pytest.raises(ConfigError, match=r"data\.validation: noise expects a count"):
        make(name="noise", validation="test")[0].data()


def first(task, count):
    return next(iter(validation_batches(task.data().validation, count, "cpu")))


def test_noise_has_the_floor_that_theory_gives():
    task, _ = make(name="noise", size=12, subset=1500, validation=400)
    assert len(task.data().train) == 1500
    best = task.floors(task.data())["best constant"].value
    assert best == pytest.approx(best_constant_l1(), rel=0.02)
    with pytest.raises(ConfigError, match=r"data\.subset: noise expects a count, received 0\.5"):
        make(name="noise", subset=0.5)


def test_composites_are_made_of_the_sets_own_pictures():
    task, _ = make(name="composites", of="digits", size=16, subset=50, validation=20)
    assert first(task, 4)["image"].shape == (4, 1, 16, 16)
    assert len(task.data().train) == 50
    tiles, _ = make(subset=50, validation=20)
    shown = {t.numpy().tobytes() for t in first(tiles, 20)["image"]}
    last = {t.numpy().tobytes() for image in first(task, 20)["image"] for t in windows(image)}
    assert shown & last  # the last one that is pasted lies uncovered


def test_composites_can_be_more_than_the_pictures_they_are_made_of():
    given = {"name": "composites", "of": "digits", "size": 16, "subset": 10, "validation": 5}
    splits = make(**given, count=2000, validation_count=40)[0].data()
    assert (len(splits.train), len(splits.validation)) == (2000, 40)
    assert len(np.unique(splits.train.images, axis=0)) > 1900  # 10^4 choices of four, any place
    few = make(**given)[0].data()
    assert (len(few.train), len(few.validation)) == (10, 5)
    assert (splits.train.images[:10] == few.train.images).all()  # the same ones, and more
    prints = {s.fingerprint for s in (few.train, splits.train, few.validation, splits.validation)}
    assert len(prints) == 4


def test_counts_enter_a_run_s_identity_only_where_they_are_given():
    told = {"name": "composites", "of": "digits"}
    assert essence(TilesConfig(data=told))["data"].keys().isdisjoint({"count", "validation_count"})
    assert essence(TilesConfig(data=told | {"count": 99}))["data"]["count"] == 99


def windows(image_CYX):
    return (image_CYX[:, y : y + 8, x : x + 8].contiguous() for y in range(9) for x in range(9))


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_histogram_loss_and_score_are_the_modules(distance):
    options = {"bins": 20, "sigma": 40.0, "distance": distance}
    loss = {"reconstruction": "histogram", "histogram": options}
    task, model = make(loss, subset=100, validation=61)
    batches = list(validation_batches(task.data().validation, 16, "cpu"))
    got = task.scores(model, batches)
    image = torch.cat([b["image"] for b in batches])
    with torch.no_grad():
        raw = model(image).raw
    expected = HistogramLoss(20, 0, 1, 40.0, kind=distance)(raw.double(), image.double())
    assert got["loss"] == pytest.approx(float(expected), rel=1e-4)
    assert got["l1"] == pytest.approx(float((raw.double() - image).abs().mean()), rel=1e-5)
    part = task.loss(model, batches[0], AT)["total"]
    assert part.item() == pytest.approx(task.scores(model, batches[:1])["loss"], rel=1e-5)


def test_half_precision_does_not_move_the_histogram():
    task, model = make({"reconstruction": "histogram"}, subset=64, validation=32)
    batch = first(task, 32)
    exact = task.loss(model, batch, AT)["total"].item()
    raw = model(batch["image"]).raw
    loss = task._term.histogram(raw.detach().bfloat16(), batch["image"])
    assert loss.item() == pytest.approx(exact, rel=0.2)  # of the reconstruction only
    same = task._term.histogram(batch["image"], batch["image"].bfloat16().float())
    assert task._term.histogram(batch["image"], batch["image"]).item() == 0 < same.item()


def test_histogram_floors_by_hand():
    options = {"bins": 8, "sigma": 60.0, "norm": True}
    loss = {"reconstruction": "histogram", "histogram": options}
    task, _ = make(loss, subset=99, validation=40)
    floors = task.floors(task.data())
    edges = np.linspace(0, 1, 9)

    def shares(source):
        x = source.images.reshape(len(source), -1, 1) / 255
        s = 1 / (1 + np.exp(-60 * (x - edges)))
        return (s[..., :-1] - s[..., 1:]).mean(1)

    train, held_out = shares(task.data().train), shares(task.data().validation)
    best = abs(np.median(train, 0) - held_out).mean()
    assert floors["best constant"].value == pytest.approx(best, rel=1e-4)
    assert floors["best constant"].means == "best constant histogram"
    s = 1 / (1 + np.exp(60 * edges))
    blank = abs((s[:-1] - s[1:]) - held_out).mean()
    assert floors["initial loss"].value == pytest.approx(blank, rel=1e-4)


def test_before_and_after_are_the_filters_of_pillow():
    task, model = make(size=12, filter="bilinear", subset=50, validation=20)
    batch = first(task, 5)
    rows = task.pictures(model, batch)["resize"].rows
    assert list(rows) == ["stored", "nearest 12", "bilinear 12"]
    assert {row.shape for row in rows.values()} == {(12, 60, 3)}
    stored = rows["stored"][2:10, 2:10, 0]  # 8x8 in the middle of its frame
    for name, filter_ in (("nearest 12", Image.NEAREST), ("bilinear 12", Image.BILINEAR)):
        again = np.asarray(Image.fromarray(stored).resize((12, 12), filter_))
        assert (rows[name][:, :12, 0] == again).all()
    used = (batch["image"][1, 0] * 255).round().numpy()
    assert (rows["bilinear 12"][:, 12:24, 1] == used).all()
    assert (rows["nearest 12"][:, 12:24, 1] != used).any()


def test_no_filter_is_named_where_none_was_at_work():
    task, model = make(size=8, subset=50, validation=20)
    assert task.facts().without_effect == ("data.filter",)
    assert "resize" not in task.pictures(model, first(task, 5))
    other, _ = make(size=9, subset=50, validation=20)
    assert other.data().resized
    assert not task.data().resized
    assert "without_effect" not in other.facts().json()


def test_the_filter_names_the_run_and_the_data():
    ids, prints = set(), set()
    for filter_ in ("nearest", "bilinear", "box"):
        data = {"size": 12, "filter": filter_, "subset": 50, "validation": 20}
        filled = TilesConfig(data=data).model_dump(mode="json")
        filled |= {"task": "tiles", "training": {"inputs": 100}}
        ids.add(run_id(filled, TilesConfig, "the same data"))
        splits = make(**data)[0].data()
        prints.add((splits.train.fingerprint, splits.validation.fingerprint))
    assert len(ids) == len(prints) == 3
    assert len({train for train, _ in prints}) == len({held for _, held in prints}) == 3


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"sd": 0.2}, "sd: has no meaning for digits"),
        ({"name": "noise", "of": "mnist"}, "of: has"),
        ({"count": 5}, "count: has no meaning for digits"),
        ({"name": "noise", "validation_count": 5}, "validation_count: has no meaning for noise"),
    ],
)
def test_options_of_another_set_are_refused(data, says):
    with pytest.raises(ValidationError, match=says):
        TilesConfig(data=data)
