"""The scroll task against closed forms, and its errors; tiny fragments, seconds in all."""

import json

import numpy as np
import pytest
import tifffile
import torch
from torch.nn import functional as F

from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import fixed_batch, validation_batches
from famulus.nets.autoencoder import Reconstruction
from famulus.tasks.base import Parent, Position
from famulus.tasks.scroll.cubes_net import CubeAutoencoder, Style
from famulus.tasks.scroll.data import phantom
from famulus.tasks.scroll.ink_loss import Terms, judged
from famulus.tasks.scroll.scroll import ScrollConfig, ScrollTask, _some

PHANTOM = {"shape": [12, 96, 96], "letter": 32}
DATA = {"phantom": PHANTOM, "cube": [8, 16, 16], "validation": 1, "cover": 0.7}
AT = Position(0, 0, 0, 0)


def task(data=(), model=(), loss=(), parents=None):
    config = ScrollConfig.model_validate(
        {
            "data": {**DATA, **dict(data)},
            "model": {"widths": [4, 8], "code": 6, **dict(model)},
            "loss": dict(loss),
        }
    )
    return ScrollTask(config, parents or {})


def batch(t, n=6):
    return fixed_batch(t.data().train, np.arange(n), "cpu")


def opened(t):
    return t.data(), t.build()


@pytest.mark.parametrize("kind", ["autoencoder", "vae", "joint", "cube", "ink"])
def test_every_kind_learns_from_every_weight(kind):
    t = task(model={"kind": kind}, loss={"dice": 0.5, "focal": 0.1, "tversky": 0.1})
    torch.manual_seed(0)
    net = t.build()
    parts = t.loss(net, batch(t), AT)
    parts["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    scores = t.scores(net.eval(), validation_batches(t.data().validation, 7, "cpu"))
    assert all(np.isfinite(v) for v in scores.values())
    for floor in t.floors(t.data()).values():
        assert floor.score in scores
    for picture in t.pictures(net, batch(t, 3)).values():
        assert len({row.shape for row in picture.rows.values()}) == 1


def test_the_elbo_is_its_definition():
    t = task(model={"kind": "vae"}, loss={"kl_weight": 0.5})
    net, b = t.build().eval(), batch(t)
    parts = t.loss(net, b, AT)
    out = net(b["image"])
    q = torch.distributions.Normal(out.mu.double(), out.log_sigma.double().exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    recon = F.mse_loss(out.raw.double(), b["image"].double())
    assert parts["kl"].item() == pytest.approx(kl.item(), rel=1e-5)
    assert parts["total"].item() == pytest.approx((recon + 0.5 * kl / 2048).item(), rel=1e-5)


def test_scores_do_not_depend_on_the_batch():
    t = task(model={"kind": "vae"})
    net = t.build().eval()
    one, other = (
        t.scores(net, validation_batches(t.data().validation, n, "cpu")) for n in (3, 100)
    )
    assert one == pytest.approx(other, rel=1e-5)


def test_floors_are_what_a_constant_really_scores():
    """A net silenced to the base rate scores the floor, and an AUC of one half."""
    t = task(model={"kind": "ink", "coarse": 4})
    net = t.build().eval()
    torch.nn.init.zeros_(net.head[-1].weight)
    scores = t.scores(net, validation_batches(t.data().validation, 50, "cpu"))
    floors = t.floors(t.data())
    assert scores["bce"] == pytest.approx(floors["best constant"].value, rel=1e-5)
    assert scores["loss"] == pytest.approx(floors["best constant, loss"].value, rel=1e-5)
    assert scores["predicted prevalence"] == pytest.approx(t.opened.prevalence, rel=1e-4)
    torch.nn.init.constant_(net.head[-1].bias, 0.0)  # another constant costs more
    worse = t.scores(net, validation_batches(t.data().validation, 50, "cpu"))
    assert worse["bce"] > floors["best constant"].value + 0.1
    # Only here are equal logits equal probabilities in every lane of a processor: 0 is one half.
    assert worse["auc"] == floors["chance"].value == 0.5
    assert worse["f05"] == pytest.approx(floors["everything"].value, rel=1e-12)


@pytest.mark.parametrize("kind", ["autoencoder", "vae"])
def test_the_floor_of_a_reconstruction_is_what_a_constant_really_scores(kind):
    t = task(model={"kind": kind})
    trained = _some(t.data().train)["image"]  # the cubes that the floor is measured on
    net, floors = t.build(), t.floors(t.data())
    heads = [net.mu] if kind == "autoencoder" else [net.mu, net.log_sigma]  # kl 0
    for layer in (*heads, net.decoder[-1].main[0]):
        torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)

    def scored(constant):
        torch.nn.init.constant_(net.decoder[-1].main[0].bias, constant)
        return t.scores(net.eval(), validation_batches(t.data().validation, 50, "cpu"))["loss"]

    floor = floors["best constant, loss"]
    assert floor.score == "loss"
    assert scored(trained.mean().item()) == pytest.approx(floor.value, rel=1e-5)
    assert scored(trained.mean().item() + 3) > 2 * floor.value  # another constant costs more
    assert "best constant, loss" not in task(model={"kind": "joint"}).floors(t.data())


def test_a_perfect_map_scores_one():
    t = task(model={"kind": "ink", "coarse": 1})
    label = next(b["label"] for b in validation_batches(t.data().validation, 500, "cpu"))
    half = torch.arange(len(label)) % 2 == 0
    scores, threshold = judged(20 * label - 10, label, torch.ones_like(label), half, Terms())
    assert scores["auc"] == pytest.approx(1)
    assert scores["f05"] == pytest.approx(1)
    assert threshold == pytest.approx(torch.tensor(10.0).sigmoid().item())


def test_a_frozen_encoder_stays_bit_for_bit():
    model = {"kind": "ink", "stage": "block", "norm": "batch", "mid": "relu", "skip": True}
    style = Style("block", True, "batch", "relu")
    vae = CubeAutoencoder((1, 8, 16, 16), (4, 8), 6, style=style)
    parent = Parent("abc", {}, vae.state_dict())
    t = task(model={**model, "freeze": True}, parents={"pretrained": parent})
    net = t.build().train()
    optimizer = torch.optim.SGD([g for d in t.param_groups(net) for g in d["params"]], lr=0.1)
    for _ in range(2):
        t.on_inputs(net, AT)
        t.loss(net, batch(t), AT)["total"].backward()
        optimizer.step()
    for name, value in vae.encoder.state_dict().items():
        assert net.encoder.state_dict()[name].equal(value), name
    loose = task(model=model, parents={"pretrained": parent}).build().train()
    loose(batch(t)["image"])  # without freezing, batch statistics move in a forward pass
    moved = loose.encoder.state_dict()
    assert any(not moved[k].equal(v) for k, v in vae.encoder.state_dict().items())
    with pytest.raises(ConfigError, match="nothing to keep"):
        task(model={**model, "freeze": True})


@pytest.mark.parametrize(
    ("data", "model", "message"),
    [
        ({"cube": [40, 16, 16]}, {}, "cube of 40 planes, the volume has 12"),
        ({"cube": [8, 128, 128]}, {}, "larger than the fragment"),
        ({"name": "/nowhere"}, {}, "does not exist"),
        ({"validation": 0}, {}, "own seed"),
        ({"box": [0, 0, 5, 500]}, {}, r"data\.box"),
        ({"reload": 8}, {}, r"needs data\.pool"),
        ({"cube": [8, 18, 18]}, {}, "divisible by 4"),
    ],
)
def test_bad_input_is_one_line(data, model, message):
    with pytest.raises((ConfigError, DataError), match=message):
        opened(task(data=data, model=model))


def test_contradictions_are_refused():
    with pytest.raises(ValueError, match=r"data\.scale range, received zscore"):
        task(model={"kind": "vae", "output": "sigmoid"})
    with pytest.raises(ValueError, match="parts of a block"):
        task(model={"skip": True})


def test_apply_writes_a_whole_map_and_goes_on(tmp_path):
    t = task(model={"kind": "ink", "coarse": 4})
    net = t.build().eval()
    torch.nn.init.zeros_(net.head[-1].weight)
    t.apply(net, tmp_path / "papyrus-2", tmp_path / "out", {"stride": 5, "flips": 2})
    made = tifffile.imread(tmp_path / "out/prediction.tif")
    assert made.shape == (96, 96)
    assert np.abs(made - t.opened.prevalence).max() < 1e-6  # constant in, constant out
    torch.nn.init.zeros_(net.head[-1].bias)  # one half is exact, others ripple in their last bits
    t.apply(net, tmp_path / "papyrus-2", tmp_path / "half", {"stride": 5, "flips": 2})
    assert (tifffile.imread(tmp_path / "half/prediction.tif") == 0.5).all()
    report = json.loads((tmp_path / "half/report.json").read_text())
    assert report["labels"]["auc"] == 0.5
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["overlay.png", "prediction.png", "prediction.tif", "report.json"]
    with pytest.raises(ConfigError, match=r"threshold: expected a share .* received 'high'"):
        t.apply(net, tmp_path / "papyrus-2", tmp_path / "out", {"threshold": "high"})
    with pytest.raises(ConfigError, match="received strides: did you mean 'stride'"):
        t.apply(net, tmp_path / "papyrus-2", tmp_path / "out", {"strides": 5})


@pytest.mark.parametrize("kind", ["tif", "npy"])
def test_apply_gives_the_whole_volume(tmp_path, kind):
    """A net that hands its cube through gives the fragment back, every voxel, in its own type."""
    t = task(model={"kind": "autoencoder"}, data={"scale": "range"})

    class Through(torch.nn.Linear):
        def forward(self, image):
            return Reconstruction(image, image)

    options = {"stride": 5, "format": kind, "flips": 2}
    t.apply(Through(1, 1), tmp_path / "papyrus-2", tmp_path / "out", options)
    file = tmp_path / f"out/prediction.{kind}"
    made = tifffile.imread(file) if kind == "tif" else np.load(file)
    volume = phantom(t.config.data.phantom.design(2)).volume_ZYX
    assert made.dtype == volume.dtype
    assert np.array_equal(made, volume)
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["recon"] < 1e-12 < report["recon of one grey level"]
    with pytest.raises(ConfigError, match="expected tif or npy, received png"):
        t.apply(Through(1, 1), tmp_path / "papyrus-2", tmp_path / "out", {"format": "png"})
    with pytest.raises(ConfigError, match="stride: expected a whole number >= 1, received 'a'"):
        t.apply(Through(1, 1), tmp_path / "papyrus-2", tmp_path / "out", {"stride": "a"})


def test_facts_hold_the_layers_and_the_ceiling():
    t = task(model={"kind": "ink"})
    facts = t.facts().json()
    assert any("Conv3d" in line for line in facts["layers"])
    assert "oracle" in facts
