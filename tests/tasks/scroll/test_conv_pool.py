"""Convolution and pooling in pieces: against the plain layers, and the net typed by hand."""

import copy

import pytest
import torch
from benchmarks.reference_conv3d import PlainVAE
from torch import nn
from torch.nn import functional as F

from famulus.tasks.scroll import conv_pool as module
from famulus.tasks.scroll.conv_pool import conv_pool
from famulus.tasks.scroll.cubes_net import CubeAutoencoder, Stage, Style

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
HALF = {2: nn.MaxPool2d(2), 3: nn.MaxPool3d(2)}


@pytest.fixture
def pieces(monkeypatch):
    """Every map counts as large; two samples of 3 channels and 8 voxels a side are a piece."""
    monkeypatch.setattr(module, "LARGE", 0)
    monkeypatch.setattr(module, "PIECE", 2 * 4 * 3 * 8**3)


def gradients(work, image, *trained):
    """Weights whose sum is not 0: else the gradient of a bias is nothing but rounding."""
    out = work(image)
    weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view_as(out)
    return out, torch.autograd.grad((out * weights).sum(), trained)


def apart(found, wanted):
    """The largest |a - b| / |b| of an output and its gradients: sums of terms of both signs are
    right to some eps of |b|, wherever a single number of them lies near 0."""
    (a, each), (b, every) = found, wanted
    pairs = zip((a.detach(), *each), (b.detach(), *every), strict=True)
    return max(float((x.double() - y).norm() / y.norm()) for x, y in pairs)


@pytest.mark.parametrize("dims", [2, 3])
def test_pieces_are_the_whole(pieces, dims):
    """Against the plain layers in float64. No window's two largest voxels are within 1e-4 of each
    other here, so every rounding chooses the same ones."""
    torch.manual_seed(0)
    conv, image = CONV[dims](2, 3, 3, 1, 1), torch.randn(5, 2, *[8] * dims, requires_grad=True)
    exact, x = copy.deepcopy(conv).double(), image.detach().double().requires_grad_()
    want = gradients(lambda x: HALF[dims](exact(x)), x, x, exact.weight, exact.bias)

    def in_pieces(x):  # what `conv_pool` does with float32 alone; the last piece is smaller
        return module._InPieces.apply(x, exact.weight, exact.bias, exact.padding, 2)

    assert apart(gradients(in_pieces, x, x, exact.weight, exact.bias), want) < 1e-13
    got = gradients(lambda x: conv_pool(x, conv, HALF[dims]), image, image, conv.weight, conv.bias)
    assert apart(got, want) < 1e-5

    def without_the_last(x):
        return torch.cat([in_pieces(x[:4]), HALF[dims](exact(x[4:])).detach()])

    assert apart(gradients(without_the_last, x, x, exact.weight, exact.bias), want) > 0.01


def test_what_needs_no_gradient_gets_none(pieces):
    conv = nn.Conv3d(1, 3, 3, 1, 1)
    conv.weight.requires_grad_(False)
    conv_pool(torch.randn(3, 1, 8, 8, 8), conv, HALF[3]).sum().backward()
    assert conv.weight.grad is None
    torch.testing.assert_close(conv.bias.grad, torch.full((3,), 3 * 4.0**3))
    with torch.no_grad():
        assert not conv_pool(torch.randn(3, 1, 8, 8, 8), conv, HALF[3]).requires_grad


def test_the_large_map_is_not_kept(pieces):
    conv, image = nn.Conv3d(1, 3, 3, 1, 1), torch.randn(4, 1, 8, 8, 8)

    def largest(work) -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: sizes.append(t.numel()) or t, lambda t: t
        ):
            work(image)
        return max(sizes)

    assert largest(lambda x: F.max_pool3d(conv(x), 2)) == 4 * 3 * 8**3
    assert largest(lambda x: conv_pool(x, conv, HALF[3])) == image.numel()


@pytest.mark.parametrize(
    "conv", [nn.Conv3d(1, 3, 2, 2), nn.Conv3d(1, 3, 3, 1, 1, padding_mode="replicate")]
)
def test_other_convolutions_go_the_plain_way(pieces, conv):
    image = torch.randn(3, 1, 8, 8, 8)
    torch.testing.assert_close(conv_pool(image, conv, HALF[3]), F.max_pool3d(conv(image), 2))


def test_lower_precision_goes_the_plain_way(pieces):
    conv, image = nn.Conv3d(1, 3, 3, 1, 1), torch.randn(3, 1, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        out = conv_pool(image, conv, HALF[3])
        assert torch.equal(out, HALF[3](conv(image)))
    assert not torch.equal(out, HALF[3](conv(image)))
    out.float().sum().backward()  # the gradient passes, whatever the types between


@pytest.mark.parametrize("act", ["relu", "leaky_relu", "none", "gelu"])
def test_the_activation_may_follow_the_pooling(act):
    """Level regions, as air around a sheet: all eight places of a window are equal there. They are
    so to the last bit: numbers of few bits have sums that are exact in any order."""
    torch.manual_seed(0)
    stage = Stage(1, 3, 3, Style(act=act))
    image = torch.randn(2, 1, 8, 8, 8)
    image[0] = -0.75
    image[1, :, :4] = 0.0
    with torch.no_grad():
        for numbers in (image, *stage.parameters()):
            numbers.copy_((64 * numbers).round() / 64)
    image.requires_grad_()
    trained = image, *stage.parameters()
    want = gradients(lambda x: stage.pool(stage.act(stage.main(x))), image, *trained)
    got = gradients(stage, image, *trained)
    torch.testing.assert_close(got[0], want[0])
    for a, b in zip(got[1], want[1], strict=True):
        torch.testing.assert_close(a, b)


def test_gelu_does_not_commute():
    """Proof that the order matters where it does: this one falls before it rises."""
    x = torch.tensor([[[-3.0, -0.7]]])
    assert not torch.equal(F.gelu(F.max_pool1d(x, 2)), F.max_pool1d(F.gelu(x), 2))


def test_the_net_is_the_one_typed_by_hand(pieces):
    """Same weights, same noise: same reconstruction, same gradient of every weight as in float64.

    With this seed no two voxels that a pooling compares are within 8e-6 of each other, and none is
    within 1e-6 of the edge of a ReLU: every rounding decides alike.
    """
    torch.manual_seed(4)
    plain, net = PlainVAE(16, 8), CubeAutoencoder((1, 16, 16, 16), code=8)
    ours = dict(net.named_parameters())
    theirs = dict(plain.named_parameters())
    assert [p.shape for p in ours.values()] == [p.shape for p in theirs.values()]
    with torch.no_grad():
        for a, b in zip(ours.values(), theirs.values(), strict=True):
            a.copy_(b)
    image, noise = torch.randn(3, 1, 16, 16, 16), torch.randn(3, 8)
    plain.double()
    want = gradients(lambda x: plain(x, noise.double()), image.double(), *plain.parameters())
    got = gradients(lambda x: net(x, noise).raw, image, *ours.values())
    assert (
        apart(got, want) < 1e-3
    )  # float32, summed one by one: up to 6e-8 for each of 12,288 terms
    other = gradients(lambda x: net(x, -noise).raw, image, *ours.values())
    assert apart(other, want) > 0.1
