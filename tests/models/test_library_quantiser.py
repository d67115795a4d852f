"""The adapter against a stand-in with the library's calls; the library itself where installed."""

import sys
import types

import pytest
import torch
from torch import nn

from famulus.models.coded import QuantiserConfig, build_quantiser


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


@pytest.fixture
def library(monkeypatch):
    module = types.ModuleType("vector_quantize_pytorch")
    module.Nearest, module.Residual = Nearest, Residual
    monkeypatch.setitem(sys.modules, "vector_quantize_pytorch", module)


def build(name, **options):
    settings = {"kind": "library", "name": name, "size": 8, "dim": 4, "codes_per_position": 2}
    return build_quantiser(QuantiserConfig(**settings, options=options))


def test_a_library_class_keeps_the_contract(library):
    torch.manual_seed(0)
    book, z = build("Nearest", scale=0.5), torch.randn(2, 8, 3, 3, requires_grad=True)
    out = book(z)
    assert out.codes.shape == (2, 3, 3, 2)
    torch.testing.assert_close(book.decode(out.codes), out.z)
    assert out.commit == 0
    (out.z.sum() + out.codebook).backward()
    assert z.grad.abs().sum() > 0
    assert book.inner.codebook.grad.abs().sum() > 0


@pytest.mark.parametrize(("name", "options", "message"), [
    ("Missing", {}, "has no class 'Missing'"),
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


@pytest.mark.parametrize("name", ["VectorQuantize", "SimVQ"])
def test_the_library_itself(name):
    pytest.importorskip("vector_quantize_pytorch", reason="the extra is not installed")
    torch.manual_seed(0)
    book = build(name).eval()
    z = torch.randn(2, 8, 3, 3)
    out = book(z)
    assert out.codes.shape == (2, 3, 3, 2)
    torch.testing.assert_close(book.decode(out.codes), out.z, rtol=1e-4, atol=1e-4)
