"""Parameter counts against published tables, shapes at any stride, gradients everywhere."""

import pytest
import torch

from famulus.nets.autoencoder import Autoencoder
from famulus.nets.layers import parameters


@pytest.mark.parametrize(("size", "count"), [(20, 1_666_193), (28, 4_034_705), (32, 5_613_713)])
def test_base28_has_the_published_number_of_parameters(size, count):
    assert parameters(Autoencoder((1, size, size), variational=True)) == count


def test_the_other_published_numbers():
    long_run = Autoencoder((3, 32, 32), kernel=5, variational=True, heads="features", dropout=0.5)
    assert parameters(long_run) == 4_988_371
    assert parameters(Autoencoder((3, 32, 32), (24, 32, 48), kernel=5)) == 5_053_491


@pytest.mark.parametrize("shape", [(1, 17, 17), (3, 16, 20), (2, 9, 10, 11)])
@pytest.mark.parametrize("stride", [1, 2, [1, 3]])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_decoder_retraces_the_encoder(shape, stride, padding):
    model = Autoencoder(shape, (4, 5), 6, stride=stride, padding=padding)
    out = model(torch.rand(2, *shape))
    assert out.raw.shape == (2, *shape)
    assert out.code.shape == (2, 6)


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("norm", ["none", "batch", "group", "instance"])
def test_every_parameter_gets_a_gradient(variational, norm):
    torch.manual_seed(0)
    model = Autoencoder((1, 9, 9), (4, 6), 5, variational=variational, norm=norm, act="silu")
    out = model(torch.rand(4, 1, 9, 9))
    loss = (out.raw - 0.3).square().mean()
    loss.backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # instance norm takes away what a bias before it adds
    assert [n for n in dead if norm not in ("batch", "instance") or "bias" not in n] == []


def test_layers_are_those_of_the_journal():
    names = [type(m).__name__ for m in Autoencoder((1, 28, 28)).modules()]
    assert names.count("Conv2d") == names.count("ConvTranspose2d") == 3
    assert names.count("ReLU") == 3 + 2  # after each convolution; between the transposed ones
    assert "Dropout" not in names


def test_eval_is_deterministic_and_training_is_not():
    torch.manual_seed(0)
    model = Autoencoder((1, 8, 8), (4,), 3, variational=True, dropout=0.5)
    x = torch.rand(2, 1, 8, 8)
    assert not torch.equal(model(x).raw, model(x).raw)
    model.eval()
    assert torch.equal(model(x).raw, model(x).raw)
    assert torch.equal(model(x).raw, model.decode(model.encode(x)))
    noise = torch.ones(2, 3)
    out = model(x, noise)
    torch.testing.assert_close(out.code, out.mu + out.log_sigma.exp())


def test_equal_seeds_build_equal_nets():
    def build(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in Autoencoder((1, 8, 8), (4,), 3).parameters()])

    assert torch.equal(build(1), build(1))
    assert not torch.equal(build(1), build(2))


def test_a_net_that_cannot_exist_is_refused_before_it_is_built():
    with pytest.raises(ValueError, match=r"conv 2 of 3 needs at least 3 .* receives 2x2"):
        Autoencoder((1, 4, 4), (4, 4, 4))
    with pytest.raises(ValueError, match="kernel: expected 3 numbers"):
        Autoencoder((1, 9, 9), (4, 4, 4), kernel=[3, 3])
    with pytest.raises(ValueError, match="received 'swish'"):
        Autoencoder((1, 9, 9), act="swish")
