"""Against the journal's parameter counts, nn.Conv2d and its transpose, and the adjoint identity."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.tasks.tiles.stacked_net import (
    SpaceToDepthAutoencoder,
    StackedAutoencoder,
    active_for,
)


def numbers(model):
    return sum(p.numel() for p in model.parameters())


def small(**options):
    torch.manual_seed(0)
    return StackedAutoencoder(
        **{"shape": (3, 12, 12), "channels": 4, "convs": 4, "code": 5} | options
    )


@pytest.mark.parametrize(
    ("channels", "tied", "free"), [(32, 1_032_835, 2_057_699), (128, 6_785_155, 13_538_819)]
)
def test_counts_of_the_journal(channels, tied, free):
    with torch.device("meta"):
        a, b = (
            StackedAutoencoder(channels=channels),
            StackedAutoencoder(channels=channels, tied=False),
        )
    assert (numbers(a), numbers(b)) == (tied, free)
    assert a.parameters_by_tying() == b.parameters_by_tying() == (tied, free)


@pytest.mark.parametrize("tied", [True, False])
def test_equals_the_layers_written_out(tied):
    model, x = small(tied=tied).double(), torch.rand(2, 3, 12, 12).double()
    model.set_active(5)
    h = x
    for layer in model.stack[:4]:
        conv = nn.Conv2d(*layer.weight.shape[:2][::-1], 3).double()
        conv.load_state_dict({"weight": layer.weight, "bias": layer.bias})
        h = nn.LeakyReLU()(conv(h))
    code = h.flatten(1) @ model.stack[4].weight.T + model.stack[4].bias
    back = model.stack[4].weight if tied else model.stack[4].mirror
    h = F.leaky_relu(code @ back + model.stack[4].mirror_bias).view(h.shape)
    for layer in reversed(model.stack[:4]):
        conv = nn.ConvTranspose2d(*layer.weight.shape[:2], 3).double()
        weight = layer.weight if tied else layer.mirror
        conv.load_state_dict({"weight": weight, "bias": layer.mirror_bias})
        h = nn.LeakyReLU()(conv(h))
    out = model(x)
    torch.testing.assert_close(out.code, code, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(out.raw, h, rtol=1e-12, atol=1e-12)
    model.set_active(4)
    assert (model(x).raw - h).abs().max() > 1e-3  # of another number of layers


@pytest.mark.parametrize("tied", [True, False])
def test_tied_layers_are_adjoint(tied):
    """<A x, y> = <x, A^T y> for the linear part, and not when the weights are free."""
    layer = small(tied=tied).double().stack[1].requires_grad_(False)
    x, y = torch.rand(1, 4, 8, 8).double(), torch.rand(1, 4, 6, 6).double()
    forward = (F.conv2d(x, layer.weight) * y).sum()
    backward = (x * F.conv_transpose2d(y, layer.back)).sum()
    assert (abs(float(forward - backward)) < 1e-12) == tied


@pytest.mark.parametrize("active", [1, 3, 5])
def test_shapes_and_gradients_at_each_stage(active):
    model, x = small(), torch.rand(2, 3, 12, 12)
    model.set_active(active)
    out = model(x)
    assert out.raw.shape == x.shape
    assert model.encode(x).shape[1:] == model.code_shape() == model.code_shape(active)
    (out.raw - x).abs().mean().backward()
    for k, layer in enumerate(model.stack):
        assert all((p.grad is not None) == (k < active) for p in layer.parameters())


def test_code_of_the_journal_after_one_layer():
    with torch.device("meta"):
        model = StackedAutoencoder()
    c, y, x = model.code_shape(1)
    assert c * y * x == 123_008
    assert model.code_shape(25) == (32, 14, 14)
    assert model.code_shape(26) == (128,)


def test_growth_travels_in_the_checkpoint():
    model, fresh = small(), small()
    model.set_active(4)
    twin = copy.deepcopy(model)
    assert fresh.active_count() == 1
    fresh.load_state_dict(model.state_dict())
    assert fresh.active_count() == twin.active_count() == 4
    x = torch.rand(1, 3, 12, 12)
    assert torch.equal(fresh(x).raw, model(x).raw)
    twin.set_active(2)  # a copy grows alone
    assert (model.active_count(), twin.active_count()) == (4, 2)
    assert not torch.allclose(twin(x).raw, model(x).raw)


def test_inactive_layers_stay_as_they_are_under_adam_and_weight_decay():
    model, x = small(), torch.rand(2, 3, 12, 12)
    optimizer = torch.optim.AdamW(model.parameters(), 0.1, weight_decay=0.5)
    before = copy.deepcopy(model.state_dict())
    for active in (1, 2):
        model.set_active(active)
        optimizer.zero_grad()
        model(x).raw.square().mean().backward()
        optimizer.step()
    changed = {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert {name.split(".")[1] for name in changed - {"active"}} == {"0", "1"}


def test_when_layers_join():
    assert [active_for(n, 8_000) for n in (0, 7_999, 8_000, 199_999, 200_000)] == [1, 1, 2, 25, 26]
    epoch = 47_579  # two layers every two epochs: the Linear, layer 25, joins with epoch 26
    assert active_for(26 * epoch - 1, 2 * epoch, together=2) == 25
    assert active_for(26 * epoch, 2 * epoch, together=2) >= 26
    with pytest.raises(ValueError, match="received every_inputs=0"):
        active_for(5, 0)


def test_limits_are_named():
    with pytest.raises(ValueError, match="expected 1 to 5 active layers, received 6"):
        small().set_active(6)
    with pytest.raises(ValueError, match=r"above 2 \* convs"):
        StackedAutoencoder((3, 28, 28))
    with pytest.raises(ValueError, match="divisible by 8"):
        SpaceToDepthAutoencoder((3, 28, 28))


def test_space_to_depth_loses_nothing_and_learns():
    x = torch.rand(4, 3, 1, 1) * torch.linspace(0, 1, 8)[:, None].expand(8, 8)
    assert torch.equal(nn.PixelShuffle(2)(nn.PixelUnshuffle(2)(x)), x)
    torch.manual_seed(0)
    model = SpaceToDepthAutoencoder((3, 8, 8), channels=8, stages=2, code=8)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for _ in range(60):
        out = model(x)
        loss = (out.raw - x).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert out.code.shape == (4, 8)
    constant = (x - x.median()).abs().mean()  # what no learning would reach
    assert losses[-1] < 0.5 * float(constant)
