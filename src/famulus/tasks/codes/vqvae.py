"""Autoencoders with a grid of codes (VQ-VAE) or one Gaussian code (VAE).

Shapes: image_BC..., mask B1... (1 where a pixel is real), codes B...H on the grid.
Source: van den Oord et al. 2017, arXiv 1711.00937; Kingma & Welling 2014, arXiv 1312.6114.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from famulus.config.errors import Unfit
from famulus.tasks.codes.convolution import CONV, OUTPUTS, output_shape
from famulus.tasks.codes.quantiser import Quantised, Quantiser

POOL = {2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}


def grid_mask(mask: Tensor, grid: tuple[int, ...]) -> Tensor:
    """True for each place of the grid that covers at least one real pixel: bool, B..."""
    # a maximum: one real pixel is enough for a place to matter
    return POOL[len(grid)](mask.float(), grid)[:, 0] > 0


def only(z: Tensor, place: Tensor) -> Tensor:
    """Vectors BD... where `place` (bool, B...) holds, zeros elsewhere."""
    return z.masked_fill(~place[:, None], 0)


def check_mirror(decoder: nn.Module, inner: tuple[int, ...], outer: tuple[int, ...]) -> None:
    """Raises ValueError if the decoder does not lead from the grid back to the picture's sides."""
    back = output_shape(decoder, inner[0], inner[1:])
    if back != outer:
        raise ValueError(
            f"expected sides that are multiples of all strides together, received {outer[1:]}: "
            f"the grid {inner[1:]} leads back to {back[1:]}"
        )


@dataclass(frozen=True)
class Coded:
    """A reconstruction and the quantiser's part in it."""

    recon: Tensor
    quantised: Quantised


class VQVAE(nn.Module):
    """encoder -> (linear 1x1) -> quantiser -> (linear 1x1) -> decoder -> output activation.

    Without `project` the encoder's width itself must be codes_per_position x dimension.
    Places that cover no real pixel reach the decoder as zeros: its norms span the whole picture,
    so it must never see anything there that the codes alone (K in the padding) don't say.
    Raises ValueError if `sides` is not a multiple of the encoder's factor, or a width differs.
    """

    def __init__(
        self,
        encoder: nn.Module,
        quantiser: Quantiser,
        decoder: nn.Module,
        channels: int,
        sides: tuple[int, ...],
        project: bool = True,
        output: str = "none",
    ) -> None:
        super().__init__()
        width, *grid = output_shape(encoder, channels, sides)
        check_mirror(decoder, (width, *grid), (channels, *sides))
        self.grid, self.sides = tuple(grid), tuple(sides)
        self.encoder, self.quantiser, self.decoder = encoder, quantiser, decoder
        conv = CONV[len(grid)]
        self.into: nn.Module = nn.Identity()
        self.out_of: nn.Module = nn.Identity()
        if project:
            self.into = conv(width, quantiser.channels, 1)
            self.out_of = conv(quantiser.channels, width, 1)
        elif width != quantiser.channels:
            per = width / quantiser.width
            hint = f" (codes_per_position: {int(per)} would fit)" if per == int(per) else ""
            raise Unfit(
                f"expected an encoder of {quantiser.channels} channels = codes_per_position "
                f"{quantiser.per_place} x code dimension {quantiser.width}, received {width}{hint}",
                "codes-width",
            )
        self.output = OUTPUTS[output]()

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Coded:
        place = None if mask is None else grid_mask(mask, self.grid)
        return self.from_latent(self.latent(image), place)

    def latent(self, image: Tensor) -> Tensor:
        """What the quantiser is given."""
        return self.into(self.encoder(image))

    def from_latent(self, z: Tensor, place: Tensor | None = None) -> Coded:
        """What becomes of `latent`; `place` (bool, B...) says which places count, None = all."""
        quantised = self.quantiser(z, place)
        shown = quantised.z if place is None else only(quantised.z, place)
        return Coded(self._draw(shown), quantised)

    def encode(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Codes B...H, int64; with a mask K at places that cover no real pixel."""
        return self.codes_of(self.latent(image), mask)

    def codes_of(self, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """`encode`, from `latent`."""
        codes = self.quantiser(z).codes
        if mask is None:
            return codes
        return codes.masked_fill(~grid_mask(mask, self.grid)[..., None], self.quantiser.size)

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures of codes B...H, K in the padding, in the model's scale."""
        padding = codes == self.quantiser.size
        # K has no row in the codebook: any code does, as it is zeroed below
        z = self.quantiser.decode(codes.masked_fill(padding, 0))
        return self._draw(only(z, ~padding.all(-1)))

    def _draw(self, z: Tensor) -> Tensor:
        return self.output(self.decoder(self.out_of(z)))


@dataclass(frozen=True)
class GaussianReconstruction:
    """A reconstruction and the posterior that it was drawn from."""

    recon: Tensor
    mu_BD: Tensor
    logvar_BD: Tensor


class VAE(nn.Module):
    """encoder -> dense mu and log-variance -> dense -> decoder. One code of `width` a picture."""

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        channels: int,
        sides: tuple[int, ...],
        width: int,
        output: str = "none",
    ) -> None:
        super().__init__()
        self.inner = output_shape(encoder, channels, sides)
        check_mirror(decoder, self.inner, (channels, *sides))
        flat = torch.Size(self.inner).numel()
        self.encoder, self.decoder = encoder, decoder
        self.mu = nn.Linear(flat, width)
        self.logvar = nn.Linear(flat, width)
        self.expand = nn.Linear(width, flat)
        self.output = OUTPUTS[output]()

    def forward(self, image: Tensor) -> GaussianReconstruction:
        mu_BD, logvar_BD = self.posterior(image)
        z_BD = mu_BD
        if self.training:
            z_BD = mu_BD + torch.randn_like(mu_BD) * (0.5 * logvar_BD).exp()
        return GaussianReconstruction(self.decode(z_BD), mu_BD, logvar_BD)

    def posterior(self, image: Tensor) -> tuple[Tensor, Tensor]:
        flat = self.encoder(image).flatten(1)
        return self.mu(flat), self.logvar(flat)

    def decode(self, z_BD: Tensor) -> Tensor:
        return self.output(self.decoder(self.expand(z_BD).reshape(-1, *self.inner)))


@torch.no_grad()
def encode_pictures(model: VQVAE, image: Tensor, mask: Tensor | None) -> Tensor:
    """Codes B...H of pictures in grey ranges; places that cover no real pixel become K."""
    return model.encode(model.scaling(image, mask).x, mask)
