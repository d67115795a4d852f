"""The task on real digits and on sets made here: against closed forms, and against itself."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import validation_batches
from famulus.tasks.base import Position
from famulus.tasks.tiles.tiles import Tiles, TilesConfig

AT = Position(step=0, inputs=0, epoch=0, seed=0)
SMALL = {"channels": [4, 6], "code": 5}
DATA = {"subset": 200, "validation": 101}
LOSSES = [
    {"reconstruction": "l1"},
    {"reconstruction": "l1", "kl": "legacy"},
    {"reconstruction": "l2", "kl": "none"},
    {"reconstruction": "bce", "kl_warmup_inputs": 1000},
    {"reconstruction": "laplace", "free_bits": 0.1},
    {"reconstruction": "laplace", "scale": 0.05},
    {"reconstruction": "gaussian", "scale": "learned"},
    {"reconstruction": "l2", "input_noise": {"sd": 0.2}, "code": {"weight": 0.1}},
]


def make(loss=None, data=None, **model):
    """A task and its net, always the same."""
    sections = {"data": {**DATA, **(data or {})}, "model": {**SMALL, **model}, "loss": loss or {}}
    task = Tiles(TilesConfig(**sections), {})
    torch.manual_seed(0)
    return task, task.build()


def first(task, count):
    splits = task.data()
    return next(iter(validation_batches(splits.validation, count, "cpu")))


def score(task, model, batch=64):
    model.eval()
    return task.scores(model, validation_batches(task.data().validation, batch, "cpu"))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["vae", "autoencoder"])
def test_one_step_moves_every_parameter(loss, kind):
    task, model = make(loss, kind=kind)
    before = [p.clone() for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    parts = task.loss(model, first(task, 32), Position(1, 500, 0, 0))
    assert all(v.ndim == 0 and torch.isfinite(v) for v in parts.values())
    parts["total"].backward()
    optimizer.step()
    # without a price on the noise only the reconstruction moves its head; it still must
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("size", [8, 20, 28, 32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["vae", "autoencoder"])
def test_every_size_and_colour_builds_and_takes_a_step(size, channels, kind):
    task, model = make(data={"size": size, "channels": channels}, kind=kind)
    batch = first(task, 4)
    assert batch["image"].shape == (4, channels, size, size)
    task.loss(model, batch, AT)["total"].backward()
    assert model.decode(model.encode(batch["image"])).shape == batch["image"].shape


@pytest.mark.parametrize("loss", LOSSES)
def test_scores_do_not_depend_on_the_batch_size_or_on_the_random_state(loss):
    task, model = make(loss, norm="batch", dropout=0.5)
    torch.manual_seed(1)
    once = score(task, model, batch=101)
    torch.manual_seed(2)
    again = score(task, model, batch=7)  # 101 = 14 * 7 + 3
    assert once.keys() == again.keys()
    for name, value in once.items():
        assert again[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


def test_a_mean_of_batch_means_would_depend_on_it():  # proof that the test above can fail
    task, model = make({"reconstruction": "l1"})
    batches = list(validation_batches(task.data().validation, 50, "cpu"))
    assert [len(b["index"]) for b in batches] == [50, 50, 1]
    model.eval()
    mean = sum(task.scores(model, [b])["l1"] for b in batches) / 3
    assert abs(mean - score(task, model)["l1"]) > 1e-3


def test_scores_of_a_vae_are_what_their_names_say():
    task, model = make({"reconstruction": "laplace"})
    got = score(task, model)
    batch = first(task, 101)
    with torch.no_grad():
        out = model(batch["image"], task._noise_for(batch["index"]))
    posterior = torch.distributions.Normal(out.mu.double(), out.log_sigma.double().exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    kl = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    b = (out.raw - batch["image"]).abs().double().mean()
    recon = -torch.distributions.Laplace(out.raw.double(), b).log_prob(batch["image"]).mean()
    assert got["kl"] == pytest.approx(kl.item(), rel=1e-5)
    assert got["l1"] == pytest.approx(b.item(), rel=1e-5)
    assert got["recon"] == pytest.approx(recon.item(), rel=1e-5)
    assert got["loss"] == pytest.approx((recon + kl / 64).item(), rel=1e-5)  # 64 pixels
    variance = out.mu.double().var(0, correction=0)
    assert got["active_units"] == (variance > 0.01).sum()
    assert got["sigma"] == pytest.approx(posterior.scale.mean().item(), rel=1e-5)
    snr = (variance.mean() / posterior.scale.square().mean()).sqrt().item()
    assert got["snr"] == pytest.approx(snr, rel=1e-4)


def test_training_loss_and_score_agree_where_nothing_is_random():
    for loss in ({"reconstruction": "l2"}, {"reconstruction": "gaussian", "scale": "learned"}):
        task, model = make(loss, kind="autoencoder")
        total = task.loss(model, first(task, 101), AT)["total"].item()
        assert score(task, model)["loss"] == pytest.approx(total, rel=1e-5)


def test_weight_and_warm_up_by_hand():
    task, model = make({"reconstruction": "l1", "kl_weight": 0.5, "kl_warmup_inputs": 1000})
    batch = first(task, 32)
    for inputs, factor in ((0, 0.0), (250, 0.125), (5000, 0.5)):
        parts = task.loss(model, batch, Position(0, inputs, 0, 0))
        recon, kl = parts["recon"].item(), parts["kl"].item()
        # float32: a product and a sum of what is above 0
        assert parts["total"].item() == pytest.approx(recon + factor * kl, rel=1e-6)
        assert factor == 0.5 or parts["total"].item() != pytest.approx(recon + 0.5 * kl, rel=1e-4)


def test_the_noise_follows_the_random_state():
    task, model = make()
    batch = first(task, 16)
    totals = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        totals.append(task.loss(model, batch, AT)["total"].item())
    assert totals[0] == totals[1] != totals[2]


def test_floors_against_numpy():
    task, _ = make({"reconstruction": "l1"})
    splits = task.data()
    floors = task.floors(splits)
    train = splits.train.images.reshape(200, -1) / 255
    held_out = splits.validation.images.reshape(101, -1) / 255
    best = abs(held_out - np.median(train, 0)).mean()
    # an even number of samples has a whole interval of medians
    assert floors["best constant"].value == pytest.approx(best, abs=2e-3)
    own = abs(held_out - np.median(held_out, 1, keepdims=True)).mean()
    assert floors["image median, l1"].value == pytest.approx(own, abs=1e-3)
    assert floors["initial loss"].value == pytest.approx(held_out.mean(), rel=1e-6)
    assert {f.score for f in floors.values()} <= set(score(*make({"reconstruction": "l1"})))


def test_floors_in_the_unit_of_the_loss():
    task, _ = make({"reconstruction": "bce"})
    floors = task.floors(task.data())
    assert floors["initial loss"].value == pytest.approx(math.log(2), rel=1e-6)
    assert floors["perfect"].value < floors["best constant"].value < math.log(2)
    task, _ = make({"reconstruction": "gaussian"})
    held_out = task.data().validation.images.reshape(101, -1) / 255
    mean = task.data().train.images.reshape(200, -1).mean(0) / 255
    sigma = ((held_out - mean) ** 2).mean() ** 0.5
    expected = math.log(sigma) + 0.5 + 0.5 * math.log(2 * math.pi)
    assert task.floors(task.data())["best constant"].value == pytest.approx(expected, rel=1e-5)
    legacy, _ = make({"reconstruction": "l1", "kl": "legacy"})
    extra = 5 * (math.e - 2) / 2  # a code of 5, .359 nats each
    plain, _ = make({"reconstruction": "l1"})
    gap = legacy.floors(legacy.data())["initial loss"].value
    gap -= plain.floors(plain.data())["initial loss"].value
    assert gap == pytest.approx(extra, rel=1e-6)


def test_a_weight_of_one_on_mean_l1_collapses_and_the_elbo_does_not():
    """The journal's fault, in 300 steps: the code carries nothing, the median is all there is."""
    kl = {}
    for name, loss in (
        ("w = 1", {"reconstruction": "l1"}),
        ("elbo", {"reconstruction": "laplace"}),
    ):
        task, model = make(loss, data={"subset": 512})
        optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
        images = task.data().train.gather(np.arange(512), np.zeros(512, np.uint64))
        images = task.data().train.finish(images, np.zeros(512, np.uint64))["image"]
        for step in range(300):
            torch.manual_seed(step)
            optimizer.zero_grad()
            batch = {"image": images[torch.randint(512, (64,))]}
            task.loss(model, batch, AT)["total"].backward()
            optimizer.step()
        kl[name] = score(task, model)
    assert kl["w = 1"]["kl"] < 0.05
    assert kl["w = 1"]["active_units"] == 0
    assert kl["elbo"]["kl"] > 1
    assert kl["elbo"]["l1"] < 0.8 * kl["w = 1"]["l1"]


def test_pictures_are_the_images_unstretched():
    task, model = make()
    image = first(task, 6)["image"] * 0.5
    pictures = task.pictures(model.eval(), {"image": image})
    rows = pictures["reconstructions"].rows
    assert list(rows) == ["original", "reconstruction", "difference x 3"]
    assert {r.shape for r in rows.values()} == {(8, 48, 3)}
    expected = (image[2, 0] * 255).round().numpy().astype(np.uint8)
    assert (rows["original"][:, 16:24, 1] == expected).all()
    again = task.pictures(model, {"image": image})
    for name, picture in pictures.items():
        for row, pixels in picture.rows.items():
            assert (again[name].rows[row] == pixels).all()
    assert "samples" not in make(kind="autoencoder")[0].pictures(
        make(kind="autoencoder")[1], {"image": image}
    )


def test_apply_reconstructs_a_persons_own_pictures(tmp_path):
    task, model = make()
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    grey = np.random.default_rng(0).integers(0, 255, (30, 40), np.uint8)
    Image.fromarray(grey).save(source / "a.png")
    Image.fromarray(grey).convert("RGB").save(source / "deep" / "b.jpg")
    task.apply(model, source, tmp_path / "out", {})
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (8, 8)
    assert (tmp_path / "out" / "deep" / "b.png").exists()
    task.apply(model, source / "a.png", tmp_path / "one", {})
    one = (tmp_path / "one" / "a.png").read_bytes()
    assert one == (tmp_path / "out" / "a.png").read_bytes()
    task.apply(model, source, tmp_path / "drawn", {"sample": 3, "seed": 1})
    assert len(list((tmp_path / "drawn").iterdir())) == 3


def test_apply_says_what_it_could_not_do(tmp_path):
    task, model = make()
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1 pictures not read, the first: bad.png"):
        task.apply(model, tmp_path, tmp_path / "out", {})
    with pytest.raises(DataError, match="does not exist"):
        task.apply(model, tmp_path / "none", tmp_path / "out", {})
    with pytest.raises(ConfigError, match="received simple"):
        task.apply(model, tmp_path, tmp_path / "out", {"simple": 1})
    plain = make(kind="autoencoder")
    with pytest.raises(ConfigError, match=r"sample needs model\.kind vae"):
        plain[0].apply(plain[1], tmp_path, tmp_path / "out", {"sample": 1})


@pytest.mark.parametrize(
    "options",
    [{"sample": v} for v in ("abc", -1, 0, 2.5, 10_001)] + [{"sample": 1, "seed": "x"}],
)
def test_apply_refuses_what_is_no_count_and_writes_nothing(tmp_path, options):
    task, model = make()
    with pytest.raises(ConfigError, match=r"option (sample|seed): expected a whole number"):
        task.apply(model, tmp_path, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_many_samples_are_the_few_and_more():
    task, model = make()
    with torch.no_grad():
        many = task._samples(model.eval(), 300, seed=1)  # decoded in two parts
    assert torch.equal(task.sample(model, 300, seed=1), many.clamp(0, 1))
    assert many.min() < 0  # a plain output, which the line above cuts
    z = torch.randn(300, 5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact = task._term.to_image(model.double().decode(z.double()))
    assert (many - exact).abs().max() < 1e-4  # greys of 0..1 by four float32 layers
    assert (many - exact.roll(1, 0)).abs().amax((1, 2, 3)).min() > 1e-3  # another one's


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"data": {"size": 4}}, "needs at least 3 pixels a side, receives 2x2"),
        (
            {"loss": {"reconstruction": "bce"}, "model": {"output": "sigmoid"}},
            "applies the sigmoid",
        ),
        ({"loss": {"scale": 0.0}}, "scale: expected optimal, learned or > 0"),
        ({"model": {"kernel": [3, 3]}}, "model.kernel: expected 3 numbers"),
        ({"loss": {"betta": 1}}, "betta"),
        (
            {"loss": {"reconstruction": "bce", "input_noise": {"sd": 0.2, "target": True}}},
            "expected target false, received true",
        ),
    ],
)
def test_contradictions_are_refused_before_anything_is_built(sections, says):
    with pytest.raises(ValidationError, match=says):
        TilesConfig(**sections)


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"model": {"kind": "autoencoder", "heads": "features"}}, "heads: .* for autoencoder"),
        ({"loss": {"histogram": {"bins": 20}}}, "histogram: .* for reconstruction laplace"),
        ({"loss": {"reconstruction": "l1", "scale": 0.1}}, "scale: .* for reconstruction l1"),
        ({"loss": {"kl": "legacy", "free_bits": 0.1}}, "free_bits: .* for kl legacy"),
    ],
)
def test_what_would_change_nothing_is_refused_and_named_as_such(sections, says):
    with pytest.raises(ValidationError, match=says) as caught:
        TilesConfig(**sections)
    assert caught.value.errors()[0]["ctx"]["error"].cause == "option-without-effect"


def test_what_belongs_to_the_kl_is_let_through_for_matrices_over_kind():
    loss = {"kl": "textbook", "kl_weight": 0.5, "kl_warmup_inputs": 10, "free_bits": 0.1}
    for kind, kl in (("autoencoder", "textbook"), ("vae", "none")):
        TilesConfig(model={"kind": kind}, loss=loss | {"kl": kl})


def test_an_impossible_net_for_images_as_stored():
    task = Tiles(TilesConfig(model={"channels": [4] * 4}, data=DATA), {})
    with pytest.raises(ConfigError, match=r"conv 4 of 4 .* receives 2x2"):
        task.build()


def test_legacy_says_so_beside_its_results():
    assert "faulty" not in str(make()[0].facts().json())
    facts = make({"reconstruction": "l1", "kl": "legacy"})[0].facts().json()
    assert facts["loss"] == "mean L1 + 1 * legacy KL"
    assert "not a divergence" in facts["kl"]
