"""Autoencoders with codes: sizes, mirrors, the magic run's layers, masks, 2D and 3D."""

import pytest
import torch
from torch import nn

from famulus.tasks.codes import convolution as c
from famulus.tasks.codes.quantiser import AveragedCodebook, FiniteScalar
from famulus.tasks.codes.scaling import Scaling
from famulus.tasks.codes.vqvae import VAE, VQVAE, encode_pictures, grid_mask

# z + (e - z) is e but for its last bits, and a dozen float32 layers make values of 1 to 3 of it
ROUNDING = 1e-4
MAGIC = [c.Convolution(*row) for row in ((32, 5, 2), (48, 5), (64, 5, 2), (92, 5), (128, 5, 2))]


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def magic(project=False, per_place=2, side=32) -> VQVAE:
    encoder = c.plain_encoder(3, MAGIC, "leaky-relu", last_activation=True)
    decoder = c.plain_decoder(128, MAGIC, "leaky-relu", 3)
    book = AveragedCodebook(512, 64, per_place, pool=0)
    return VQVAE(encoder, book, decoder, 3, (side, side), project)


def test_the_magic_run_has_its_layers_and_its_width():
    """559,564 and 967,631 parameters by hand; 80x80x2 codes at 640 pixels, 4x4x2 at 32."""
    model = magic()
    assert parameters(model.encoder) == 559_564
    assert parameters(model.decoder) == 967_631
    assert model.encode(torch.rand(2, 3, 32, 32)).shape == (2, 4, 4, 2)
    assert c.output_shape(model.encoder, 3, (640, 640)) == (128, 80, 80)
    activations = [type(m).__name__ for m in model.encoder]
    assert activations[:3] == ["Conv2d", "Conv2d", "LeakyReLU"]  # none after the first
    assert activations[-1] == "LeakyReLU"  # one on z: what the journal's run had


def test_the_magic_run_undeclared_is_refused():
    with pytest.raises(ValueError, match="codes_per_position: 2 would fit"):
        magic(per_place=1)
    assert magic(per_place=1, project=True).into.out_channels == 64


def test_sides_that_strides_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiples of all strides"):
        magic(side=36)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (4, 2), (3, 1), (3, 2), (8, 4), (5, 4)])
def test_a_layer_and_its_mirror_keep_the_size(kernel, stride):
    layers = [c.Convolution(4, kernel, stride)]
    x = torch.rand(1, 2, 16, 16)
    z = c.plain_encoder(2, layers, "relu", False)(x)
    assert z.shape[2:] == (16 // stride, 16 // stride)
    assert c.plain_decoder(4, layers, "relu", 2)(z).shape == x.shape


def test_a_kernel_that_cannot_keep_the_size_is_refused():
    with pytest.raises(ValueError, match="kernel 4 with stride 1"):
        c.Convolution(4, 4, 1).padding()


@pytest.mark.parametrize(("space", "patch", "grid"), [(2, 1, 4), (2, 2, 2), (3, 1, 4), (3, 2, 2)])
def test_residual_nets_in_two_and_three_dimensions(space, patch, grid):
    widths, sides = [8, 8, 16], (16,) * space
    encoder = c.residual_encoder(2, widths, 1, space, patch)
    decoder = c.residual_decoder(16, widths, 1, 2, space, patch)
    model = VQVAE(encoder, FiniteScalar((4, 4)), decoder, 2, sides)
    x = torch.rand(2, 2, *sides)
    out = model(x)
    assert out.recon.shape == x.shape
    assert out.quantised.codes.shape == (2, *[grid] * space, 1)
    codes = model.encode(x)
    assert (model.decode(codes) - out.recon).abs().max() < ROUNDING
    assert (model.decode((codes + 1) % 16) - out.recon).abs().max() > 0.1  # of other codes


@pytest.mark.parametrize("space", [1, 2, 3])
def test_fold_and_unfold_are_inverse(space):
    x = torch.rand(2, 3, *[6, 4, 8][:space])
    folded = c.Fold(2)(x)
    assert folded.shape[1] == 3 * 2**space
    assert torch.equal(c.Unfold(2)(folded), x)


def test_fold_is_pixel_unshuffle():
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(c.Fold(4)(x), nn.functional.pixel_unshuffle(x, 4))


def test_grid_mask_keeps_a_place_with_one_real_pixel():
    mask = torch.zeros(1, 1, 8, 8)
    mask[0, 0, 0, 0] = 1
    mask[0, 0, 4:, 5] = 1
    assert grid_mask(mask, (2, 2))[0].tolist() == [[True, False], [False, True]]


def letterboxed(quantiser) -> tuple[VQVAE, torch.Tensor, torch.Tensor]:
    """A net with norms over the whole picture, and pictures of which the middle half is real."""
    torch.manual_seed(0)
    encoder, decoder = c.residual_encoder(3, [8, 8], 1), c.residual_decoder(8, [8, 8], 1, 3)
    model = VQVAE(encoder, quantiser, decoder, 3, (16, 16)).eval()
    model.scaling = Scaling("centred", torch.zeros(3), torch.ones(3))
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., 4:12] = 1
    return model, torch.rand(2, 3, 16, 16) * mask, mask


@pytest.mark.parametrize(("quantiser", "turned"), [
    (lambda: AveragedCodebook(16, 4, 2, pool=0), False),
    (lambda: AveragedCodebook(16, 4, 2, pool=0), True),
    (lambda: AveragedCodebook(16, 4, 2, shared=False, pool=0, cosine=True), True),
    (lambda: FiniteScalar((4, 4), 2), False),
])  # fmt: skip
@torch.no_grad()
def test_codes_with_padding_say_all_that_the_decoder_was_given(quantiser, turned):
    """Training and the prior draw the same pictures, whatever code happens to be number 0."""
    model, image, mask = letterboxed(quantiser())
    if turned:
        model.quantiser.codebook_GKD.copy_(model.quantiser.codebook_GKD.flip(1))
    recon = model(model.scaling(image, mask).x, mask).recon
    codes = encode_pictures(model, image, mask)
    size = model.quantiser.size
    assert (codes == size).any()
    assert (codes < size).any()
    assert (model.decode(codes) - recon).abs().max() < ROUNDING
    for filler in (0, size - 1):  # control: a code in the padding reaches real pixels
        filled = model.decode(codes.masked_fill(codes == size, filler))
        assert ((filled - recon) * mask).abs().max() > 0.1


@torch.no_grad()
def test_what_the_encoder_makes_of_padding_does_not_reach_the_decoder():
    model, image, mask = letterboxed(AveragedCodebook(16, 4, pool=0))
    x = model.scaling(image, mask).x
    place = grid_mask(mask, model.grid)[:, None]
    whole = model(x, mask).recon
    quantise = model.quantiser.forward

    def shifted(z, mask=None):
        return quantise(torch.where(place, z, z + 9), mask)

    model.quantiser.forward = shifted
    assert torch.equal(model(x, mask).recon, whole)
    assert not torch.equal(model(x).recon, whole)  # control: without a mask all is taken as real


def test_he_normal_has_the_stated_spread():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 5)
    c.he_normal(conv)
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (64 * 25)) ** 0.5, rel=0.02)
    assert conv.bias.abs().max() == 0
    assert (
        nn.Conv2d(64, 64, 5).weight.std() < 0.8 * conv.weight.std()
    ).item()  # control: the default
    dense = nn.Linear(8, 8)
    before = dense.weight.detach().clone()
    c.he_normal(nn.Sequential(conv, dense))
    assert torch.equal(dense.weight, before)


def test_vae_is_its_mean_in_eval_and_drawn_in_training():
    torch.manual_seed(0)
    layers = [c.Convolution(8, 5, 2), c.Convolution(16, 5, 2)]
    encoder = c.plain_encoder(1, layers, "relu", True)
    model = VAE(encoder, c.plain_decoder(16, layers, "relu", 1), 1, (16, 16), 6, "sigmoid")
    x = torch.rand(3, 1, 16, 16)
    out = model.eval()(x)
    assert out.mu_BD.shape == (3, 6)
    assert torch.equal(model(x).recon, out.recon)
    assert 0 <= out.recon.min() <= out.recon.max() <= 1
    model.train()
    assert not torch.equal(model(x).recon, model(x).recon)
