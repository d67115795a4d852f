"""Cube nets: the journal's parameter count, any cube, every switch does something."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from famulus.config.identity import essence
from famulus.nets.layers import parameters
from famulus.tasks.scroll.cubes_net import CubeAutoencoder, CubeEncoder, Stage, Style, layer_table
from famulus.tasks.scroll.ink_net import InkNet, logit
from famulus.tasks.scroll.net import ScrollModel, build, ink_of
from famulus.tasks.scroll.settings import ScrollConfig


def test_the_journals_vae_has_its_parameters():
    """Counted by hand from the listing: 1,162,560 + 2 x 1,049,088 + 1,050,624 + 344,545."""
    net = CubeAutoencoder((1, 32, 32, 32))
    assert parameters(net) == 1_162_560 + 2 * 1_049_088 + 1_050_624 + 344_545 == 4_655_905


@pytest.mark.parametrize("cube", [16, 32, 64])
@pytest.mark.parametrize("dims", [2, 3])
def test_any_cube_and_both_dimensions(cube, dims):
    """The listing's own formula for the last shape was right at 32 alone."""
    net = CubeAutoencoder((1, *[cube] * dims), (2, 4, 4, 8), 6).eval()
    x = torch.randn(2, 1, *[cube] * dims)
    assert net(x).raw.shape == x.shape
    assert net(x).raw.equal(net(x).raw)  # the code without noise
    net.train()
    assert not net(x).raw.equal(net(x).raw)


def test_sides_that_cannot_be_halved():
    with pytest.raises(ValueError, match="divisible by 16, received 24x32x32"):
        CubeEncoder((1, 24, 32, 32), (2, 2, 2, 2), Style())


def test_eight_cells_of_the_residual_matrix_are_eight_nets():
    seen = {}
    x = torch.randn(2, 1, 8, 8, 8)
    for skip, norm, mid in itertools.product((False, True), ("none", "batch"), ("none", "relu")):
        torch.manual_seed(0)
        style = Style("block", skip, norm, mid)
        net = CubeAutoencoder((1, 8, 8, 8), (4, 8), 5, style=style, variational=False)
        kinds = [type(m).__name__ for m in net.encoder.modules()]
        assert ("BatchNorm3d" in kinds) == (norm == "batch")
        assert (net.encoder.stages[0].skip is not None) == skip
        seen[skip, norm, mid] = net(x).raw.detach()
    outs = list(seen.values())
    assert all(not a.allclose(b) for a, b in itertools.combinations(outs, 2))


def normed(x, norm):
    """A batch norm in training, from its definition."""
    mean, var = x.mean((0, 2, 3, 4), keepdim=True), x.var((0, 2, 3, 4), keepdim=True, correction=0)
    g, b = (p[None, :, None, None, None] for p in (norm.weight, norm.bias))
    return (x - mean) / (var + norm.eps).sqrt() * g + b


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("place", ["mid", "end"])
@pytest.mark.parametrize("skip", [False, True])
def test_a_norm_stands_where_it_is_put(up, place, skip):
    """Against the two blocks written out; with the norm at its other place they differ."""
    torch.manual_seed(0)
    stage = (
        Stage(3, 4, 3, Style("block", skip, "batch", "relu", norm_at=place), up=up).train().double()
    )
    halve, conv = (m for m in stage.main if hasattr(m, "stride"))
    (norm,) = (m for m in stage.main if isinstance(m, torch.nn.BatchNorm3d))
    torch.nn.init.normal_(norm.weight), torch.nn.init.normal_(norm.bias)
    x, moved = torch.randn(2, 3, 8, 8, 8).double(), F.conv_transpose3d if up else F.conv3d
    first = moved(x, halve.weight, halve.bias, 2)

    def written(at):
        y = (normed(first, norm) if at == "mid" else first).relu()
        y = F.conv3d(y, conv.weight, conv.bias, padding=1)
        y = normed(y, norm) if at == "end" else y
        return (y + moved(x, stage.skip.weight, stage.skip.bias, 2) if skip else y).relu()

    out, other = stage(x), {"mid": "end", "end": "mid"}[place]
    torch.testing.assert_close(out, written(place), rtol=1e-12, atol=1e-12)
    assert (out - written(other)).abs().max() > 0.1


def test_a_place_without_a_norm_is_refused():
    net = {"kind": "autoencoder", "norm_at": "end"}
    for model in ({"stage": "block"}, {"norm": "batch"}, {"stage": "pool", "norm": "batch"}):
        with pytest.raises(ValueError, match="norm_at places the norm of a block"):
            ScrollConfig.model_validate({"model": {**net, **model}})
    ScrollConfig.model_validate({"model": {**net, "stage": "block", "norm": "batch"}})


def test_where_a_norm_stands_renames_no_run_that_never_said_so():
    plain = {"stage": "block", "norm": "batch"}
    said = essence(ScrollModel(**plain, norm_at="mid"))
    assert said == essence(ScrollModel(**plain))
    assert "norm_at" not in said
    assert essence(ScrollModel(**plain, norm_at="end"))["norm_at"] == "end"


def test_the_layer_table_is_a_dry_run_that_changes_nothing():
    net = CubeAutoencoder((1, 16, 16, 16), (4, 8), 5, style=Style(norm="batch"))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    table = layer_table(net, (1, 16, 16, 16))
    assert sum(count for _, _, count in table) == parameters(net)
    assert any("MaxPool3d" in name and shape == "4x8x8x8" for name, shape, _ in table)
    assert all(v.equal(before[k]) for k, v in net.state_dict().items())
    assert net.training


@pytest.mark.parametrize("dims", [2, 3])
def test_noise_is_drawn_where_the_code_is(dims, monkeypatch):
    """On a device that is not the default one: `meta`, of which every machine has one."""
    net = CubeAutoencoder((1, *[16] * dims), (4, 8), 6).to("meta").train()
    out = net(torch.zeros(2, 1, *[16] * dims, device="meta"))
    assert out.raw.device.type == out.code.device.type == "meta"
    monkeypatch.setattr(torch, "randn_like", lambda mu: torch.randn(*mu.shape))  # the listing's way
    with pytest.raises(RuntimeError, match="device"):
        net(torch.zeros(2, 1, *[16] * dims, device="meta"))


@pytest.mark.parametrize("coarse", [1, 2, 4, 8])
def test_ink_logits_lie_on_the_coarse_grid_and_start_at_the_base_rate(coarse):
    net = InkNet((8, 16, 16), (4, 8), coarse=coarse, head=4, prior=0.12).eval()
    logits = net(torch.randn(3, 1, 8, 16, 16))
    assert logits.shape == (3, 16 // coarse, 16 // coarse)
    assert logits.detach().mean().item() == pytest.approx(logit(0.12), abs=0.1)
    with pytest.raises(ValueError, match="that 3 divides"):
        InkNet((8, 16, 16), (4,), coarse=3)


def test_a_pretrained_encoder_is_taken_over_bit_for_bit():
    style = Style("block", True, "batch", "relu")
    vae = CubeAutoencoder((1, 8, 16, 16), (4, 8), 5, style=style)
    net = InkNet((8, 16, 16), (4, 8), style=style)
    names = net.load_encoder(vae.state_dict())
    assert names
    for name in names:
        assert net.encoder.state_dict()[name].equal(vae.encoder.state_dict()[name])
    with pytest.raises(ValueError, match=r"encoder\.stages.*expected shape"):
        InkNet((8, 16, 16), (4, 6), style=style).load_encoder(vae.state_dict())
    with pytest.raises(ValueError, match="received nothing"):
        net.load_encoder({})


@pytest.mark.parametrize("kind", ["joint", "cube", "ink"])
def test_every_kind_that_sees_ink_gives_a_map(kind):
    model = ScrollModel(kind=kind, widths=[4, 8], code=6, coarse=4)
    net = build(model, (8, 16, 16), prior=0.2).eval()
    logits, out = ink_of(net, torch.randn(2, 1, 8, 16, 16))
    assert logits.shape[0] == 2
    assert logits.detach().sigmoid().mean().item() == pytest.approx(0.2, abs=0.1)
    assert (out is None) == (kind == "ink")
