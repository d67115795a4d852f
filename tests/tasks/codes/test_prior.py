"""Task prior: two stages in one lineage, the cache of codes, floors, padding, samples."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from famulus.config.errors import ConfigError
from famulus.feed.feeder import validation_batches
from famulus.tasks.base import Parent, Position
from famulus.tasks.codes.code_source import Levels, code_counts
from famulus.tasks.codes.codes import Codes, CodesConfig
from famulus.tasks.codes.prior import Prior, PriorConfig
from famulus.tasks.codes.vqvae import VQVAE

AT = Position(step=0, inputs=0, epoch=0, seed=0)
DATA = {"name": "digits", "channels": 1, "subset": 100, "validation": 40}
MODEL = {"widths": [8, 8], "quantiser": {"size": 16, "dim": 4, "pool": 0, "codes_per_position": 2}}
SMALL = {"width": 8, "layers": 2, "first_kernel": 3, "samples": 3}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def stage(data=None, model=None, seed=0) -> Parent:
    config = CodesConfig(data=DATA | (data or {}), model=MODEL | (model or {}))
    torch.manual_seed(seed)
    net = Codes(config, {}).build()
    plain = config.model_dump(mode="json") | {"task": "codes"}
    return Parent("abc123", plain, {k: v.clone() for k, v in net.state_dict().items()})


def make(parent=None, data=None, model=None):
    config = PriorConfig(data=data or {}, model=SMALL | (model or {}))
    task = Prior(config, {"codes": parent} if parent else {})
    torch.manual_seed(0)
    return task, task.build()


def batch_of(task, count=16):
    return next(iter(validation_batches(task.data().validation, count, "cpu")))


def score(task, model, batch=64):
    with torch.no_grad():
        return task.scores(model.eval(), validation_batches(task.data().validation, batch, "cpu"))


@pytest.mark.parametrize("model", [{}, {"kind": "transformer", "heads": 2}])
def test_it_learns_below_its_unigram_floor(model):
    task, net = make(stage(), model=model)
    floors = task.floors(task.data())
    batch = batch_of(task, 40)
    assert batch["codes"].shape == (40, 4, 4, 2)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        parts = task.loss(net.train(), batch, AT)
        optimizer.zero_grad()
        parts["total"].backward()
        optimizer.step()
    scores = score(task, net)
    assert scores["loss"] < floors["unigram"].value < floors["initial loss"].value
    assert scores["accuracy"] > floors["unigram, accuracy"].value
    # one figure in four units: 32 codes and 64 pixels a picture
    assert scores["bits_per_code"] == pytest.approx(scores["loss"] / math.log(2))
    assert scores["nats_per_picture"] == pytest.approx(32 * scores["loss"])
    assert scores["bits_per_dim"] == pytest.approx(32 * scores["bits_per_code"] / 64)
    assert score(task, net, 7)["loss"] == pytest.approx(scores["loss"], rel=1e-5)


def test_the_initial_loss_is_that_of_a_uniform_guess():
    task, net = make(stage())
    for head in net.head.logits:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    floors = task.floors(task.data())
    assert score(task, net)["loss"] == pytest.approx(math.log(16))
    assert floors["initial loss"].value == pytest.approx(math.log(16))


def test_codes_are_encoded_once_and_anew_for_another_stage():
    first, other = stage(), stage(seed=1)
    task, _ = make(first)
    source = task.data().train
    codes = source.codes
    assert source.file.exists()
    source.file.write_bytes(source.file.read_bytes()[:-200])  # damaged: encoded again
    again, _ = make(first)
    assert np.array_equal(again.data().train.codes, codes)
    marked = codes.copy()
    marked[:] = 3
    np.savez_compressed(source.file, codes=marked)
    cached, _ = make(first)
    assert (cached.data().train.codes == 3).all()  # it is really read from there
    changed, _ = make(other)
    assert changed.data().train.fingerprint != source.fingerprint
    assert not np.array_equal(changed.data().train.codes, codes)


@pytest.mark.parametrize("data", [None, DATA | {"levels": 2}])
def test_a_net_is_built_without_encoding_a_picture(data, monkeypatch):
    parent = None if data else stage()
    monkeypatch.setattr(VQVAE, "encode", None)  # whoever encodes, breaks
    task, net = make(parent, data=data)
    assert (net.grid, net.per_place) == (((8, 8), 1) if data else ((4, 4), 2))
    if parent:
        assert "codes" not in vars(task.data().train)
        with pytest.raises(TypeError):  # control: it is seen
            batch_of(task)


@pytest.mark.parametrize(("change", "message"), [
    (lambda p: p.config.update(task="tiles"), "expected a run of task codes"),
    (lambda p: p.config["model"].update(kind="vae"), "is a vae"),
    (lambda p: p.config["model"].update(widths=[8, 12]), "expected shape"),
])  # fmt: skip
def test_a_first_stage_that_does_not_fit_is_named(change, message):
    parent = stage()
    change(parent)
    with pytest.raises(ConfigError, match=message):
        make(parent)


def test_a_stage_that_never_started_is_refused():
    unstarted = MODEL["quantiser"] | {"pool": 10_000}
    with pytest.raises(ConfigError, match="before its codebook started"):
        make(stage(model={"quantiser": unstarted}))


def test_either_codes_or_levels():
    with pytest.raises(ConfigError, match="either codes"):
        make()
    with pytest.raises(ConfigError, match="either codes"):
        make(stage(), data=DATA | {"levels": 2})
    with pytest.raises(ValidationError, match="go together"):
        PriorConfig(data=DATA)


@pytest.mark.parametrize(
    "own", [{"size": 64}, {"include": ["standing"]}, {"binarise": "stochastic"}]
)
def test_pictures_of_its_own_beside_a_first_stage_are_refused(own):
    with pytest.raises(ValidationError, match=rf"data\.{next(iter(own))}: the first stage's own"):
        PriorConfig(data=own)
    assert PriorConfig(data={"conditional": True}).data.conditional


def test_padding_is_known_never_drawn_and_never_counted(tmp_path):
    for part in ("train", "validation"):
        for i in range(6):
            path = tmp_path / part / f"{i}.png"
            path.parent.mkdir(exist_ok=True)
            grey = np.random.default_rng(i).integers(0, 255, (16, 8, 3), np.uint8)
            Image.fromarray(grey).save(path)
    whole = {"subset": None, "validation": None}
    parent = stage(data=whole | {"name": str(tmp_path), "size": 16, "channels": 3})
    task, net = make(parent)
    codes = batch_of(task, 6)["codes"]  # 8 x 8, two of the eight columns on each side padded
    assert (codes[:, :, :2] == 16).all()
    assert (codes[:, :, 6:] == 16).all()
    assert (codes[:, :, 2:6] < 16).all()
    floors = task.floors(task.data())
    counted = code_counts(task.data().validation, 16).sum()
    assert counted == 6 * 8 * 4 * 2
    assert floors["unigram, nats_per_picture"].value == pytest.approx(
        floors["unigram"].value * 8 * 4 * 2
    )
    picture = task.pictures(net.eval(), {"codes": codes})["samples"]
    assert (picture.rows["sample"].reshape(16, 3, 16, 3)[:, :, :4] == 0).all()
    assert picture.rows["sample"].reshape(16, 3, 16, 3)[:, :, 4:12].any()


@torch.no_grad()
def test_letterboxed_codes_are_drawn_as_the_first_stage_draws_them(tmp_path):
    for part in ("train", "validation"):
        for i in range(6):
            path = tmp_path / part / f"{i}.png"
            path.parent.mkdir(exist_ok=True)
            grey = np.random.default_rng(i).integers(0, 255, (16, 8, 3), np.uint8)
            Image.fromarray(grey).save(path)
    own = {"subset": None, "validation": None, "size": 16, "channels": 3, "name": str(tmp_path)}
    parent = stage(data=own)
    codes = Codes(CodesConfig(data=DATA | own, model=MODEL), {})
    net = codes.build().eval()
    net.load_state_dict(parent.weights)
    fixed = next(iter(validation_batches(codes.data().validation, 6, "cpu")))
    shown = codes._rebuild(net, fixed["image"], fixed["mask"])
    task, _ = make(parent)
    drawn = task.decode(batch_of(task, 6)["codes"])
    # float32, two ways to a code's vector: its last bits, grown some ten times by the decoder
    assert ((drawn - shown) * fixed["mask"]).abs().max() < 1e-4
    assert shown.std() > 0.01
    filled = batch_of(task, 6)["codes"].clamp(max=15)  # control: the padding as some code
    assert ((task.decode(filled) - shown) * fixed["mask"]).abs().max() > 0.1


def test_sampling_is_forecast_and_bounded():
    task, net = make(stage(), model={"sampling_limit_s": 1e-6})
    picture = task.pictures(net.eval(), batch_of(task, 4))["samples"]
    assert "No samples: forecast" in picture.caption
    tests = {t.name: t for t in task.self_tests(net, batch_of(task, 4))}
    assert tests["causality"].passed
    assert (tests["sampling"].passed, tests["sampling"].cause) == (False, "sampling-too-slow")
    assert "32 codes: about" in tests["sampling"].text
    roomy, net = make(stage())
    assert all(t.passed for t in roomy.self_tests(net, batch_of(roomy, 4)))
    task, net = make(stage(), model={"samples": 0})
    assert task.pictures(net, batch_of(task, 4)) == {}


@pytest.mark.parametrize("temperature", [float("inf"), float("nan"), 1e-12])
def test_a_temperature_that_nothing_can_be_drawn_with_is_refused_before_training(temperature):
    with pytest.raises(ValidationError, match="temperature"):
        PriorConfig(model={"temperature": temperature})
    assert PriorConfig(model={"temperature": 0}).model.temperature == 0


def test_classes_are_told_when_asked_for(tmp_path):
    task, net = make(stage(), data={"conditional": True})
    with pytest.raises(ConfigError, match=r"expected option label of 0, 1.*received none"):
        task.apply(net, tmp_path, tmp_path / "out", {"sample": 1})
    assert not (tmp_path / "out").exists()
    with torch.no_grad():
        net.label.weight.mul_(50)  # an untrained prior hardly listens
    drawn = []
    for label in (3, 3, 8):
        task.apply(net, tmp_path, tmp_path / "out", {"sample": 2, "label": label})
        with np.load(tmp_path / "out" / "codes.npz", allow_pickle=False) as stored:
            drawn.append(stored["codes"])
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert net.classes == 10
    batch = batch_of(task)
    task.loss(net, batch, AT)["total"].backward()
    assert net.label.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("binarise", ["threshold", "stochastic"])
def test_binarised_pictures(binarise):
    task, net = make(data=DATA | {"levels": 2, "binarise": binarise})
    batch = batch_of(task, 40)
    assert batch["codes"].shape == (40, 8, 8, 1)
    assert batch["codes"].unique().tolist() == [0, 1]
    scores = score(task, net)
    assert scores["bits_per_dim"] == pytest.approx(scores["bits_per_code"])
    assert scores["nats_per_picture"] == pytest.approx(64 * scores["loss"])
    assert task.pictures(net.eval(), batch)["samples"].rows["sample"].shape == (8, 24, 3)


def test_stochastic_draws_follow_the_grey_values():
    source = make(data=DATA | {"levels": 2})[0].data().validation.source
    levels, index = Levels(source, 2, stochastic=True), np.full(4000, 3)
    batch = source.finish(source.gather(index[:1], None), None)["image"][0, 0]
    seeds = np.arange(4000).astype(np.uint64)
    drawn = levels.finish(levels.gather(index, seeds), seeds)["codes"][..., 0].float()
    assert (drawn.mean(0) - batch).abs().max() < 0.04
    again = levels.finish(levels.gather(index, seeds), seeds)["codes"][..., 0].float()
    assert torch.equal(drawn, again)


def test_apply_draws_and_completes(tmp_path):
    task, net = make(stage())
    net.double().eval()  # so that no batch's rounding puts a number into another code's share
    options = {"sample": 3, "seed": 7, "temperature": 0.9, "top_k": 5, "batch": 2}
    task.apply(net, tmp_path, tmp_path / "one", options)
    task.apply(net, tmp_path, tmp_path / "two", options | {"batch": 3})
    about = json.loads((tmp_path / "one" / "sampling.json").read_text())
    assert (about["seed"], about["temperature"], about["top_k"]) == (7, 0.9, 5)
    with np.load(tmp_path / "one" / "codes.npz", allow_pickle=False) as stored:
        codes = stored["codes"]
    with np.load(tmp_path / "two" / "codes.npz", allow_pickle=False) as stored:
        assert np.array_equal(stored["codes"], codes)  # whatever the batch
    own = tmp_path / "own"
    own.mkdir()
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(own / "a.png")
    task.apply(net, own, tmp_path / "rest", {"complete": 0.5})
    with Image.open(tmp_path / "rest" / "a.png") as drawn:
        assert drawn.size == (8, 8)
    Image.fromarray(np.full((8, 8), 20, np.uint8)).save(own / "a.gif")
    task.apply(net, own, tmp_path / "both", {"complete": 0.5})
    written = sorted(path.name for path in (tmp_path / "both").glob("*.png"))
    assert written == ["a.gif.png", "a.png.png"]
    (own / "a.gif").unlink()
    for wrong, message in (
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature 0, or 1e-06 to 1e.06, received nan"),
        ({"temperature": float("inf")}, "temperature 0, or 1e-06 to 1e.06, received inf"),
        ({"top_p": float("nan")}, "0 < top_p <= 1, received nan"),
        ({"label": "3"}, "data.conditional"),
        ({"zoom": 1}, "received zoom"),
        ({"sample": "many"}, "option sample: expected a whole number >= 1, received 'many'"),
        ({"sample": -1}, "option sample: expected a whole number >= 1, received -1"),
        ({"sample": 2.5}, "option sample: expected a whole number >= 1, received 2.5"),
        ({"sample": 10_001}, "option sample: expected a whole number <= 10,000"),
        ({"sample": 2, "complete": 0.5}, "expected one of sample and complete, received both"),
        ({"batch": 0}, "option batch: expected a whole number >= 1, received 0"),
        ({"complete": 1.0}, "option complete: expected a share"),
        ({"seed": "x"}, "option seed: expected a whole number >= 0, received 'x'"),
        ({"seed": -1}, "option seed: expected a whole number >= 0, received -1"),
        ({"top_k": 2.5}, "top_k as a whole number"),
        ({"top_p": "most"}, "top_p as a number"),
    ):
        with pytest.raises(ConfigError, match=message) as refused:
            task.apply(net, own, tmp_path / "wrong", wrong)
        assert str(refused.value).count("apply:") == 1
        assert not (tmp_path / "wrong").exists()


def grey_file(path, pixels):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def read_grey(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("L")).astype(int)


@pytest.mark.parametrize(("levels", "cut"), [
    (2, lambda grey: (grey >= 128) * 255.0),
    (4, lambda grey: np.minimum(grey * 4 // 255, 3) * 85.0),
])  # fmt: skip
def test_a_prior_without_a_first_stage_completes_a_picture(tmp_path, levels, cut):
    """What is kept is the picture in the run's own levels; what is drawn can be drawn again."""
    task, net = make(data=DATA | {"levels": levels})
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8))
    grey_file(tmp_path / "own" / "a.png", pixels)
    grey_file(tmp_path / "own" / "b.png", 255 - pixels)
    options = {"complete": 0.5, "seed": 3, "temperature": 0.8}
    for folder, change in (("one", {}), ("again", {}), ("other", {"seed": 4})):
        task.apply(net.eval(), tmp_path / "own", tmp_path / folder, options | change)
    one, again, other = (read_grey(tmp_path / f / "a.png") for f in ("one", "again", "other"))
    assert np.array_equal(one[:4], cut(pixels)[:4])
    assert not np.array_equal(one[4:], cut(pixels)[4:])
    assert np.array_equal(one, again)
    assert np.array_equal(one[:4], other[:4])
    assert not np.array_equal(one[4:], other[4:])
    about = json.loads((tmp_path / "one" / "sampling.json").read_text())
    assert about["names"] == about["files"] == ["a.png", "b.png"]
    repeated = {k: about[k] for k in ("complete", "seed", "temperature")}
    assert repeated == options


def test_a_stochastic_cut_of_a_given_picture_follows_its_grey_values(tmp_path):
    task, net = make(data=DATA | {"levels": 2, "binarise": "stochastic"})
    pixels = np.repeat([[0, 128, 255, 128]], 8, 0).repeat(2, 1)
    for i in range(40):
        grey_file(tmp_path / "own" / f"{i:02d}.png", pixels)
    task.apply(net.eval(), tmp_path / "own", tmp_path / "out", {"complete": 0.5})
    kept = np.stack([read_grey(tmp_path / "out" / f"{i:02d}.png")[:4] for i in range(40)]) / 255
    assert (kept[..., :2] == 0).all()
    assert (kept[..., 4:6] == 1).all()
    assert 0.4 < kept[..., [2, 3, 6, 7]].mean() < 0.6  # 640 draws
    assert not np.array_equal(kept[0], kept[1])


def test_padding_of_a_picture_in_levels_is_known(tmp_path):
    task, net = make(data=DATA | {"levels": 2, "size": 8, "fit": "letterbox"})
    grey_file(tmp_path / "own" / "tall.png", np.full((16, 8), 255))
    task.apply(net.eval(), tmp_path / "own", tmp_path / "out", {"complete": 0.5})
    with np.load(tmp_path / "out" / "codes.npz", allow_pickle=False) as stored:
        codes = stored["codes"][0, ..., 0]
    assert (codes[:, [0, 1, 6, 7]] == 2).all()  # 8 x 4 pixels of the frame of 8 x 8
    assert (codes[:4, 2:6] == 1).all()
    assert codes[:, 2:6].max() < 2
    assert (read_grey(tmp_path / "out" / "tall.png")[:, [0, 1, 6, 7]] == 0).all()
