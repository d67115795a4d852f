"""Cubes of one plane: the same task with 2D nets, from drawing to the whole volume."""

import numpy as np
import pytest
import torch
from torch import nn

from famulus.config.errors import ConfigError
from famulus.feed.feeder import fixed_batch, validation_batches
from famulus.nets.autoencoder import Reconstruction
from famulus.tasks.base import Position
from famulus.tasks.scroll.cubes_net import CubeAutoencoder, Style
from famulus.tasks.scroll.data import phantom
from famulus.tasks.scroll.scroll import ScrollConfig, ScrollTask

PHANTOM = {"shape": [12, 96, 96], "letter": 32}
DATA = {"phantom": PHANTOM, "validation": 1, "cover": 0.7, "most": 8, "augment": True}


def task(cube=(1, 16, 16), **model):
    given = {"data": {**DATA, "cube": list(cube)}, "model": {"widths": [4, 8], "code": 6, **model}}
    return ScrollTask(ScrollConfig.model_validate(given), {})


@pytest.mark.parametrize("kind", ["autoencoder", "vae", "joint", "cube", "ink"])
def test_every_kind_learns_on_planes_with_nets_of_pictures(kind):
    t = task(kind=kind, stage="block", norm="batch", skip=True)
    torch.manual_seed(0)
    net = t.build()
    kinds = {type(m).__name__ for m in net.modules()}
    assert "Conv2d" in kinds
    assert not {k for k in kinds if k.endswith("3d")}
    batch = fixed_batch(t.data().train, np.arange(4), "cpu")
    assert batch["image"].shape == (4, 1, 1, 16, 16)
    t.loss(net, batch, Position(0, 0, 0, 0))["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    scores = t.scores(net.eval(), validation_batches(t.data().validation, 7, "cpu"))
    assert {f.score for f in t.floors(t.data()).values()} <= set(scores)
    assert set(t.pictures(net, batch)) <= {"slice-z", "zoom", "ink"}
    assert any("Conv2d" in line for line in t.facts().json()["layers"])


def test_a_plane_goes_through_the_net_of_pictures_bit_for_bit():
    nets = []
    for shape in ((1, 1, 16, 16), (1, 16, 16)):
        torch.manual_seed(0)
        nets.append(CubeAutoencoder(shape, (4, 8), 6, style=Style(norm="batch")).eval())
    image = torch.randn(3, 1, 16, 16)
    assert nets[0](image[:, :, None]).raw.equal(nets[1](image).raw[:, :, None])
    assert nets[0].encode(image[:, :, None]).equal(nets[1].encode(image))


def test_an_ink_net_of_planes_takes_over_an_encoder_of_planes():
    rebuilt, ink = (task(kind=k).build() for k in ("autoencoder", "ink"))
    assert ink.load_encoder(rebuilt.state_dict())
    with pytest.raises(ValueError, match="expected shape"):
        ink.load_encoder(task((8, 16, 16), kind="autoencoder").build().state_dict())


def test_apply_rebuilds_a_volume_plane_by_plane(tmp_path):
    class Through(nn.Linear):
        def forward(self, image):
            assert image.shape[2] == 1
            return Reconstruction(image, image)

    t = task(kind="autoencoder")
    options = {"stride": 12, "format": "npy"}
    t.apply(Through(1, 1), tmp_path / "papyrus-2", tmp_path / "out", options)
    made = np.load(tmp_path / "out/prediction.npy")
    volume = phantom(t.config.data.phantom.design(2)).volume_ZYX
    assert made.shape == volume.shape
    assert np.abs(made.astype(float) - volume).max() <= 1  # grey levels of 65,535


def test_apply_maps_ink_of_the_middle_plane(tmp_path):
    t = task(kind="ink")
    net = t.build().eval()
    nn.init.zeros_(net.head[-1].weight)
    t.apply(net, tmp_path / "papyrus-2", tmp_path / "out", {"stride": 16})
    assert {"prediction.tif", "report.json"} <= {p.name for p in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("cube", [[0, 16, 16], [1, 1, 16], [1, 16]])
def test_no_plane_at_all_is_refused(cube):
    with pytest.raises(ConfigError, match=r"data\.cube: expected a side or \[z, y, x\] >= 2"):
        task(cube).data()
