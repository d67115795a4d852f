"""Task codes on real digits and on letterboxed pictures made here."""

import json
import math
import os
import shutil
import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import validation_batches
from famulus.tasks.base import Position
from famulus.tasks.codes.apply import apply_codes
from famulus.tasks.codes.codes import Codes, CodesConfig
from famulus.tasks.codes.scaling import Scaled

AT = Position(step=0, inputs=0, epoch=0, seed=0)
DATA = {"name": "digits", "channels": 1, "subset": 200, "validation": 50}
MODEL = {"widths": [8, 8], "quantiser": {"size": 16, "dim": 4, "pool": 64}}
PLAIN = [{"filters": 8, "kernel": 5, "stride": 2}, {"filters": 8}]


def make(data=None, model=None, loss=None):
    sections = {"data": DATA | (data or {}), "model": MODEL | (model or {}), "loss": loss or {}}
    task = Codes(CodesConfig(**sections), {})
    torch.manual_seed(0)
    return task, task.build()


def batch_of(task, count=16):
    return next(iter(validation_batches(task.data().validation, count, "cpu")))


def score(task, model, batch=64):
    with torch.no_grad():
        return task.scores(model.eval(), validation_batches(task.data().validation, batch, "cpu"))


@pytest.fixture
def letterboxed(tmp_path):
    """Pictures of a constant grey, 3:4: padding takes a quarter of each square frame."""
    random = np.random.default_rng(0)
    for part in ("train", "validation"):
        for i in range(12):
            path = tmp_path / part / "all" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = np.full((16, 12, 3), random.integers(60, 250), np.uint8)
            Image.fromarray(grey).save(path)
    return {"name": str(tmp_path), "size": 16, "channels": 3, "subset": None, "validation": None}


@pytest.mark.parametrize("model", [
    {}, {"kind": "vae"}, {"stack": "plain", "layers": PLAIN}, {"quantiser": {"kind": "fsq"}},
    {"quantiser": {"kind": "gradient", "size": 8, "dim": 4}}, {"patch": 2, "widths": [8]},
    {"kind": "vae", "stack": "plain", "layers": PLAIN, "activation": "leaky-relu",
     "start": "he-normal", "code": 3, "output": "tanh"},
])  # fmt: skip
def test_training_lowers_the_loss_and_scores_are_finite(model):
    task, net = make(model=model, loss={"kl_weight": 0.1})
    batch = batch_of(task, 50)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        parts = task.loss(net.train(), batch, AT)
        optimizer.zero_grad()
        parts["total"].backward()
        optimizer.step()
        losses.append(float(parts["recon"].detach()))
    assert losses[-1] < 0.9 * losses[0]
    scores = score(task, net)
    assert all(math.isfinite(value) for value in scores.values())
    assert ("perplexity" in scores) == (model.get("kind") != "vae")


def test_scores_say_whether_the_codebook_has_started():
    """The pool takes a quarter of its room from a batch at most: after four batches it is full."""
    task, net = make()
    started = []
    for _ in range(5):
        started.append(score(task, net)["started"])
        task.loss(net.train(), batch_of(task, 64), AT)
    assert started == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("kind", ["vqvae", "vae"])
def test_scores_do_not_depend_on_the_batch_size(kind):
    task, net = make(model={"kind": kind})
    once, again = score(task, net, 50), score(task, net, 7)
    for name, value in once.items():
        assert again[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_padding_counts_neither_in_the_loss_nor_in_the_scores(letterboxed):
    task, net = make(data=letterboxed)
    batch = batch_of(task, 12)
    plain = task.loss(net.eval(), batch, AT)["recon"]
    dirty = dict(batch)
    dirty["image"] = torch.where(batch["mask"] > 0, batch["image"], 0.7)
    torch.testing.assert_close(task.loss(net, dirty, AT)["recon"], plain)
    unmasked = {k: v for k, v in dirty.items() if k != "mask"}
    assert not torch.isclose(task.loss(net, unmasked, AT)["recon"], plain)  # control
    assert batch["mask"].mean() == 0.75


@pytest.mark.parametrize("scaling", ["unit", "clamped", "centred", "standard", "per-sample"])
def test_its_own_tests_pass_and_can_fail(letterboxed, scaling, monkeypatch):
    task, net = make(data=letterboxed | {"scaling": scaling})
    batch = batch_of(task, 12)
    assert [(t.name, t.passed) for t in task.self_tests(net, batch)] == [
        ("scaling", True),
        ("padding", True),
    ]
    whole = task.loss
    monkeypatch.setattr(
        task, "loss", lambda m, b, at: whole(m, {k: v for k, v in b.items() if k != "mask"}, at)
    )
    squared = Scaled(batch["image"].square(), torch.zeros(()), torch.ones(()))
    monkeypatch.setattr(net.scaling, "forward", lambda image, mask=None: squared)
    broken = {t.name: t for t in task.self_tests(net, batch)}
    assert not broken["scaling"].passed
    assert broken["scaling"].cause == "picture-scaling"
    monkeypatch.delattr(net.scaling, "forward")
    assert not {t.name: t for t in task.self_tests(net, batch)}["padding"].passed


def test_floors_against_numpy(letterboxed):
    task, net = make(data=letterboxed, loss={"scale": "none"})
    floors = task.floors(task.data())
    train = next(iter(validation_batches(task.data().train, 12, "cpu")))["image"][..., 2:14].numpy()
    held_out = batch_of(task, 12)["image"][..., 2:14].numpy()
    best = ((held_out - train.mean(0)) ** 2).mean()
    assert floors["best constant"].value == pytest.approx(best, rel=1e-4)
    assert floors["initial loss"].value == pytest.approx((held_out**2).mean(), rel=1e-4)
    variance = float(net.variance)
    assert variance == pytest.approx(train.var(), rel=1e-3)
    scaled = make(data=letterboxed)[0].floors(task.data())
    assert scaled["best constant"].value == pytest.approx(best / variance, rel=1e-3)


def test_the_constant_floor_is_what_a_constant_net_scores():
    task, net = make(loss={"scale": "none"})
    mean = next(iter(validation_batches(task.data().train, 200, "cpu")))["image"].mean(0)
    net.decoder = torch.nn.Identity()
    net.out_of = torch.nn.Identity()
    net._draw = lambda z: mean.expand(len(z), -1, -1, -1)
    floors = task.floors(task.data())
    assert score(task, net)["recon"] == pytest.approx(
        floors["best constant, recon"].value, rel=1e-4
    )
    assert score(task, net)["l1"] == pytest.approx(floors["best constant, l1"].value, rel=1e-4)


@pytest.mark.parametrize(("sections", "message"), [
    ({"loss": {"reconstruction": "bce"}, "data": {"scaling": "centred"}}, "unbounded below"),
    ({"loss": {"reconstruction": "bce"}, "model": {"output": "sigmoid"}}, "applies the sigmoid"),
    ({"loss": {"reconstruction": "l1", "scale": "calibrated"}}, "calibrated is Gaussian"),
    ({"model": {"stack": "plain"}}, "expected layers"),
    ({"model": {"quantiser": {"kind": "library"}}}, "expected its class as name"),
])  # fmt: skip
def test_contradictions_are_refused(sections, message):
    with pytest.raises(ValidationError, match=message):
        CodesConfig(**sections)


def test_the_silent_reshape_is_an_error_that_names_its_key():
    wide = {"stack": "plain", "layers": PLAIN, "project": False}
    with pytest.raises(ConfigError, match="codes_per_position: 2 would fit"):
        make(model=wide)
    declared = {"size": 16, "dim": 4, "pool": 0, "codes_per_position": 2}
    task, net = make(model=wide | {"quantiser": declared})
    assert net.encode(batch_of(task)["image"]).shape == (16, 4, 4, 2)


def test_a_size_that_strides_do_not_divide_is_named():
    with pytest.raises(ConfigError, match="multiples"):
        make(data={"size": 30}, model={"widths": [8, 8, 8, 8]})


def test_a_last_short_batch_of_one_is_fine():
    task, net = make(data={"validation": 5})
    assert score(task, net, 4)["loss"] == pytest.approx(score(task, net, 5)["loss"], rel=1e-4)
    task.loss(net.train(), {k: v[:1] for k, v in batch_of(task, 5).items()}, AT)["total"].backward()


def test_pictures_are_the_training_pipeline(letterboxed):
    task, net = make(data=letterboxed | {"scaling": "per-sample"})
    picture = task.pictures(net.eval(), batch_of(task, 4))["reconstructions"]
    shapes = {row.shape for row in picture.rows.values()}
    assert shapes == {(16, 64, 3)}
    assert (picture.rows["reconstruction"][:, :2] == 0).all()  # padding stays black


def test_apply_rebuilds_encodes_and_walks(tmp_path, letterboxed):
    started = {"quantiser": {"size": 16, "dim": 4, "pool": 0}}
    task, net = make(data=letterboxed, model=started)
    net.eval()
    inputs, out = tmp_path / "own", tmp_path / "out"
    inputs.mkdir()
    for name, size in (("a.png", (30, 12)), ("b.jpg", (8, 8))):
        Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(inputs / name)
    task.apply(net, inputs, out, {"encode": True, "interpolate": 3})
    with np.load(out / "codes.npz", allow_pickle=False) as stored:
        codes = stored["codes"]
    about = json.loads((out / "codes.json").read_text())
    assert codes.shape == (2, 8, 8, 1)
    # 30 x 12 becomes 16 x 6 pixels from column 5 on: columns 2 to 5 of the grid's 8 cover some
    assert (codes[0, :, [0, 1, 6, 7]] == about["padding"]).all()
    assert codes[0, :, 2:6].max() < about["size"]
    assert codes[1].max() < about["size"]
    with Image.open(out / "walk.png") as walk:
        assert walk.size == (3 * 16, 16)
    task.apply(net, inputs, out, {"interpolate": 4, "format": "gif"})
    with Image.open(out / "walk.gif") as walk:
        assert walk.size == (16, 16)
    task.apply(net, inputs, out, {})
    with Image.open(out / "a.png") as drawn:
        assert drawn.size == (16, 16)
    shutil.copy(inputs / "a.png", inputs / "b.png")
    task.apply(net, inputs, tmp_path / "both", {})
    written = sorted(path.name for path in (tmp_path / "both").iterdir())
    assert written == ["a.png", "b.jpg.png", "b.png.png"]
    task.apply(net, inputs, tmp_path / "again", {"encode": False})
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == written
    with pytest.raises(ConfigError, match="encode: expected true or false, received 'no'"):
        task.apply(net, inputs, out, {"encode": "no"})
    (inputs / "b.png").unlink()
    (inputs / "c.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 pictures not read, the first: c.png"):
        task.apply(net, inputs, out, {})
    with pytest.raises(ConfigError, match="received zoom"):
        task.apply(net, inputs, out, {"zoom": 2})
    for wrong, message in (
        ({"interpolate": "x"}, "option interpolate: expected a whole number >= 2, received 'x'"),
        ({"interpolate": 0}, "option interpolate: expected a whole number >= 2, received 0"),
        ({"interpolate": 2.5}, "option interpolate: expected a whole number >= 2, received 2.5"),
        ({"interpolate": 10**9}, "option interpolate: expected a whole number <= 1,000"),
        ({"interpolate": 3, "format": "avi"}, "format grid, gif, mp4, received 'avi'"),
        ({"format": "gif"}, "format goes with interpolate"),
        ({"seed": 3}, "seed goes with sample"),
    ):
        with pytest.raises(ConfigError, match=message):
            task.apply(net, inputs, tmp_path / "wrong", wrong)
    assert not (tmp_path / "wrong").exists()
    raw_task, raw = make(data=letterboxed)
    with pytest.raises(ConfigError, match="ended before its codebook started"):
        raw_task.apply(raw.eval(), inputs, out, {"encode": True})
    with pytest.raises(ConfigError, match=r"sample needs model\.kind vae"):
        task.apply(net, inputs, out, {"sample": 2})


@pytest.mark.parametrize("kind", ["vqvae", "vae"])
def test_a_walk_leads_from_one_rebuilt_picture_to_the_other(tmp_path, letterboxed, kind):
    """Padding of both stays black; what only one picture covers comes and goes with it."""
    task, net = make(data=letterboxed, model={"kind": kind})
    inputs, out = tmp_path / "own", tmp_path / "out"
    inputs.mkdir()
    for name, size in (("a.png", (16, 8)), ("b.png", (8, 16)), ("c.png", (8, 16))):
        grey = np.random.default_rng(len(name)).integers(60, 250, (*size, 3), np.uint8)
        Image.fromarray(grey).save(inputs / name)
    task.apply(net.eval(), inputs, out, {})
    task.apply(net, inputs, out, {"interpolate": 3})

    def read(name):
        with Image.open(out / name) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    rows = read("walk.png").reshape(2, 16, 3, 16, 3).swapaxes(1, 2)
    tall, wide = read("a.png"), read("b.png")
    assert np.abs(rows[0, 0] - tall).max() <= 1
    assert np.abs(rows[0, 2] - wide).max() <= 1
    assert (rows[0, 1, :4, :4] == 0).all()
    assert rows[0, 1, :4, 4:12].any()
    assert rows[0, 1, 4:12, :4].any()
    assert (rows[1, :, :4] == 0).all()  # both ends are padded there
    assert (rows[1, :, 12:] == 0).all()
    assert rows[1, :, 4:12].all(-1).any()


@pytest.mark.parametrize("options", [
    {}, {"encode": True}, {"interpolate": 2}, {"encode": True, "interpolate": 3, "format": "gif"},
])  # fmt: skip
def test_apply_holds_one_picture_at_a_time(tmp_path, letterboxed, options):
    task, net = make(data=letterboxed, model={"quantiser": {"size": 8, "dim": 4, "pool": 0}})
    seen, most = [], 0

    def pictures():
        nonlocal most
        for i in range(6):
            image = torch.rand(1, 3, 16, 16)
            seen.append(weakref.ref(image))
            yield f"{i}.png", f"{i}.png", image, torch.ones(1, 1, 16, 16)
            del image
            most = max(most, sum(ref() is not None for ref in seen))

    apply_codes(net, task._draw, pictures(), tmp_path / "out", options)
    assert len(seen) == 6
    assert most <= 1


def test_a_vae_draws_samples_by_seed(tmp_path):
    task, net = make(model={"kind": "vae"})
    for folder, seed in (("one", 1), ("again", 1), ("other", 2)):
        task.apply(net, tmp_path, tmp_path / folder, {"sample": 2, "seed": seed})
    read = [(tmp_path / f / "sample-0001.png").read_bytes() for f in ("one", "again", "other")]
    assert read[0] == read[1] != read[2]
    for wrong, message in (
        ({"sample": "abc"}, "option sample: expected a whole number >= 1, received 'abc'"),
        ({"sample": -1}, "option sample: expected a whole number >= 1, received -1"),
        ({"sample": 2, "seed": "x"}, "option seed: expected a whole number >= 0, received 'x'"),
        ({"sample": 10**9}, "option sample: expected a whole number <= 10,000"),
        ({"sample": 2, "encode": True}, "expected it without encode"),
    ):
        with pytest.raises(ConfigError, match=message):
            task.apply(net, tmp_path, tmp_path / "wrong", wrong)
    assert not (tmp_path / "wrong").exists()


def test_many_samples_of_a_vae_are_those_of_the_seed(tmp_path, monkeypatch):
    """Decoded in parts, they are the pictures that are decoded at once."""
    task, net = make(model={"kind": "vae"})
    task.apply(net, tmp_path, tmp_path / "whole", {"sample": 7})
    monkeypatch.setattr("famulus.tasks.codes.apply.DECODED", 3)
    task.apply(net, tmp_path, tmp_path / "parts", {"sample": 7})
    pngs = [f"sample-{i:04d}.png" for i in range(7)]
    for name in pngs:
        with Image.open(tmp_path / "whole" / name) as a, Image.open(tmp_path / "parts" / name) as b:
            assert np.abs(np.asarray(a, int) - np.asarray(b, int)).max() <= 1
    assert sorted(path.name for path in (tmp_path / "parts").glob("*.png")) == pngs


FAKE_FFMPEG = """#!/bin/sh
for last; do :; done
printf '%s\\n' "$@" > "$last.words"
cat > "$last"
exit ${FAKE_RC:-0}
"""


@pytest.mark.parametrize("real", [False, True])
def test_a_walk_as_mp4(tmp_path, letterboxed, monkeypatch, real):
    """The stand-in for ffmpeg keeps what it was sent: the very frames of the GIF's walk."""
    if real and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    task, net = make(data=letterboxed)
    inputs, out = tmp_path / "own", tmp_path / "out"
    inputs.mkdir()
    for name, grey in (("a.png", 40), ("b.png", 220)):
        Image.fromarray(np.full((16, 16, 3), grey, np.uint8)).save(inputs / name)
    options = {"interpolate": 5, "format": "mp4"}
    if real:
        task.apply(net.eval(), inputs, out, options)
        assert (out / "walk.mp4").read_bytes()[4:8] == b"ftyp"
        return
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(FAKE_FFMPEG)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    task.apply(net.eval(), inputs, out, options)
    frames = np.frombuffer((out / "walk.mp4").read_bytes(), np.uint8).reshape(5, 16, 16, 3)
    task.apply(net, inputs, out, {"interpolate": 5})
    with Image.open(out / "walk.png") as walk:
        grid = np.asarray(walk.convert("RGB"))
    assert np.array_equal(np.concatenate(frames, axis=1), grid)
    words = (out / "walk.mp4.words").read_text().split("\n")
    assert words[words.index("-s") + 1] == "16x16"
    monkeypatch.setenv("FAKE_RC", "1")
    with pytest.raises(ConfigError, match="apply: ffmpeg"):
        task.apply(net, inputs, out, options)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="mp4 needs ffmpeg"):
        task.apply(net, inputs, out, options)
