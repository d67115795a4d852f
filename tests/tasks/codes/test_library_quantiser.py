"""The adapter against a stand-in with the library's calls; the library itself where installed."""

import sys
import types

import pytest
import torch
from torch import nn

from famulus.tasks.codes.net import QuantiserConfig, build_quantiser


class Nearest(nn.Module):
    """As the library's classes: dim, codebook_size; (quantized, indices, loss)."""

    def __init__(self, dim: int, codebook_size: int, scale: float = 1.0) -> None:
        super().__init__()
        self.codebook = nn.Parameter(scale * torch.randn(codebook_size, dim))

    def forward(self, x):
        codes = torch.cdist(x[0], self.codebook).argmin(1)[None]
        e = self.codebook[codes]
        return x + (e - x).detach(), codes, (x - e).square().mean()

    def indices_to_codes(self, codes):
        return self.codebook[codes]


class Residual(Nearest):
    def forward(self, x):
        out, codes, loss = super().forward(x)
        return out, torch.stack([codes, codes], -1), loss


class Moving(Nearest):
    """As those that follow what they see: a mean of all vectors, in training only."""

    def __init__(self, dim: int, codebook_size: int) -> None:
        super().__init__(dim, codebook_size)
        self.register_buffer("mean", torch.zeros(dim))

    def forward(self, x):
        if self.training:
            self.mean.lerp_(x.detach().mean((0, 1)), 0.5)
        return super().forward(x)


class Turned(Nearest):
    """As LatentQuantize: 1 D N."""

    def forward(self, x):
        assert x.shape[1] == self.codebook.shape[1]
        out, codes, loss = super().forward(x.mT)
        return out.mT, codes, loss

    def indices_to_codes(self, codes):
        return super().indices_to_codes(codes).mT


class Few(Nearest):
    def __init__(self, levels: list[int], dim: int) -> None:
        super().__init__(dim, levels[0] * levels[1])
        self.codebook_size = len(self.codebook)


@pytest.fixture
def library(monkeypatch):
    module = types.ModuleType("vector_quantize_pytorch")
    for kind in (Nearest, Residual, Moving, Turned, Few):
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "vector_quantize_pytorch", module)


def build(name, size=8, **options):
    settings = {"kind": "library", "name": name, "size": size, "dim": 4, "codes_per_position": 2}
    return build_quantiser(QuantiserConfig(**settings, options=options))


def padded(seed=0):
    """Two batches that differ in the padding alone, and the mask of what is real."""
    z = torch.randn(2, 8, 3, 4, generator=torch.Generator().manual_seed(seed))
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    mask[:, :, 2:] = False
    return z, torch.where(mask[:, None], z, 50.0), mask


def test_a_library_class_keeps_the_contract(library):
    torch.manual_seed(0)
    book, z = build("Nearest", scale=0.5), torch.randn(2, 8, 3, 3, requires_grad=True)
    out = book(z)
    assert out.codes.shape == (2, 3, 3, 2)
    # x + (e - x): two roundings of numbers below 8
    assert (book.decode(out.codes) - out.z).abs().max() < 1e-5 < (z - out.z).abs().max()
    assert out.commit == 0
    (out.z.sum() + out.codebook).backward()
    assert z.grad.abs().sum() > 0
    assert book.inner.codebook.grad.abs().sum() > 0


def moved_by(name, z, mask=None):
    """What two steps in training leave in the class, and the last output."""
    torch.manual_seed(0)
    book = build(name).train()
    for _ in range(2):
        out = book(z, mask)
    assert book.inner.training
    return book.inner.state_dict(), out


def assert_padding_moves_nothing(name):
    z, other, mask = padded()
    (state, out), (same, twin) = moved_by(name, z, mask), moved_by(name, other, mask)
    for key, value in state.items():
        torch.testing.assert_close(same[key], value)
    torch.testing.assert_close(twin.codebook, out.codebook)
    torch.testing.assert_close(twin.codes[mask], out.codes[mask])
    torch.testing.assert_close(twin.z[..., :2], out.z[..., :2])
    assert out.codes.shape == (2, 3, 4, 2)  # the padding has codes, too
    unmasked, _ = moved_by(name, other)  # control
    assert any(not torch.allclose(unmasked[key], value) for key, value in state.items())
    nothing = torch.zeros_like(mask)
    torch.manual_seed(0)
    empty = build(name).train()
    start = {key: value.clone() for key, value in empty.inner.state_dict().items()}
    assert empty(z, nothing).codebook == 0
    assert all(torch.equal(start[key], v) for key, v in empty.inner.state_dict().items())


def test_padding_moves_nothing(library):
    assert_padding_moves_nothing("Moving")
    z, _, mask = padded()
    z.requires_grad_()
    build("Moving").train()(z, mask).z.sum().backward()
    assert torch.equal(z.grad != 0, mask[:, None].expand_as(z))


def test_a_class_that_wants_the_numbers_first_gets_them_first(library):
    torch.manual_seed(0)
    turned, plain = build("Turned"), build("Nearest")
    plain.inner.load_state_dict(turned.inner.state_dict())
    z = padded()[0]
    a, b = turned(z), plain(z)
    assert torch.equal(a.codes, b.codes)
    assert torch.equal(a.z, b.z)
    assert torch.equal(turned.decode(a.codes), plain.decode(b.codes))


@pytest.mark.parametrize(("name", "options", "message"), [
    ("Missing", {}, "has no class 'Missing'"),
    ("Few", {"levels": [5, 4]}, "size: Few has 20 codes, received 8"),
    ("Nearest", {"zoom": 1}, "zoom"),
])  # fmt: skip
def test_what_the_library_lacks_is_named(library, name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)


def test_several_codes_a_vector_are_refused(library):
    with pytest.raises(ValueError, match="one code a vector from Residual"):
        build("Residual")(torch.randn(2, 8, 3, 3))


def test_without_the_library_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "vector_quantize_pytorch", None)
    with pytest.raises(ValueError, match="needs the package vector-quantize-pytorch"):
        build("SimVQ")


@pytest.mark.parametrize(("name", "size", "options"), [
    ("VectorQuantize", 8, {}), ("SimVQ", 8, {}), ("LFQ", 8, {}),
    ("FSQ", 20, {"levels": [5, 4]}), ("LatentQuantize", 20, {"levels": [5, 4]}),
])  # fmt: skip
def test_the_library_itself(name, size, options):
    pytest.importorskip("vector_quantize_pytorch", reason="the extra is not installed")
    torch.manual_seed(0)
    book = build(name, size, **options).eval()
    z = torch.randn(2, 8, 3, 3)
    out = book(z)
    assert out.codes.shape == (2, 3, 3, 2)
    assert out.codes.max() < size
    torch.testing.assert_close(book.decode(out.codes), out.z, rtol=1e-4, atol=1e-4)


def test_padding_moves_nothing_in_the_library_itself():
    pytest.importorskip("vector_quantize_pytorch", reason="the extra is not installed")
    assert_padding_moves_nothing("VectorQuantize")
