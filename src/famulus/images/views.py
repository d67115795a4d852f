"""Augmentation of whole batches, with other numbers for every sample.

Shapes: B samples, C channels, Y X pixels. Units: grey ranges 0..1.
Crop, stretch and flip are one resampling; colour is one product. Streams name what is drawn.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from famulus.feed import draws

LUMA = (0.299, 0.587, 0.114)
_CROP, _FLIP_H, _FLIP_V, _COLOUR, _GREY, _NOISE, _NOISY = range(100, 107)


@dataclass(frozen=True)
class View:
    """How much is drawn; the defaults leave pictures as they are."""

    least_area: float = 1.0  # of a crop, as a share; 1 = whole picture
    flip_h: float = 0.0  # probability
    flip_v: float = 0.0  # probability
    jitter: float = 0.0  # brightness, contrast and channels times 1 - jitter .. 1 + jitter
    grey: float = 0.0  # probability
    noise: float = 0.0  # probability
    noise_sd: float = 0.1  # in grey ranges

    @property
    def nothing(self) -> bool:
        drawn = (self.flip_h, self.flip_v, self.jitter, self.grey, self.noise)
        return self.least_area >= 1 and not any(drawn)


def augment(image_BCYX: Tensor, seeds_B: Tensor, how: View, view: int | Tensor = 0) -> Tensor:
    """A view of each picture, in 0..1; another number `view` (or one a row) draws independently."""
    if how.nothing:
        return image_BCYX
    image, device = image_BCYX, image_BCYX.device
    seeds_B = draws.children(seeds_B, view).to(device)
    if how.least_area < 1:
        image = _crop(image, seeds_B, how)
    # Without a crop a flip needs no resampling, and stays exact.
    else:
        for share, stream, axis in ((how.flip_h, _FLIP_H, 3), (how.flip_v, _FLIP_V, 2)):
            if share > 0:
                flip_B = draws.chances(seeds_B, stream, share)
                image = torch.where(flip_B[:, None, None, None], image.flip(axis), image)
    if how.jitter > 0:
        image = _colour(image, seeds_B, how.jitter)
    if how.grey > 0 and image.shape[1] == 3:
        to_grey = draws.chances(seeds_B, _GREY, how.grey)
        image = torch.where(to_grey[:, None, None, None], greyscale(image), image)
    if how.noise > 0:
        noisy_B = draws.chances(seeds_B, _NOISY, how.noise)
        noise = how.noise_sd * pixel_noise(seeds_B, _NOISE, image)
        image = torch.where(noisy_B[:, None, None, None], (image + noise).clamp(0, 1), image)
    return image


def pixel_noise(seeds_B: Tensor, stream: int, like_BCYX: Tensor) -> Tensor:
    """N(0, 1) for every number of every picture."""
    seeds_B = seeds_B.to(like_BCYX.device)
    return draws.normals(seeds_B, stream, like_BCYX[0].numel()).view_as(like_BCYX)


def greyscale(image_BCYX: Tensor) -> Tensor:
    """Luma in all three channels; other pictures as they are."""
    if image_BCYX.shape[1] != 3:
        return image_BCYX
    luma = image_BCYX.new_tensor(LUMA)[None, :, None, None]
    return (image_BCYX * luma).sum(1, keepdim=True).repeat(1, 3, 1, 1)


def _crop(image: Tensor, seeds_B: Tensor, how: View) -> Tensor:
    """A crop of random area and aspect (3/4 to 4/3), perhaps flipped, at the picture's size."""
    u_B4 = draws.uniforms(seeds_B, _CROP, 4)
    area = how.least_area + (1 - how.least_area) * u_B4[:, 0]
    # Uniform in the logarithm: wide and tall are equally likely.
    aspect = (4 / 3) ** (2 * u_B4[:, 1] - 1)
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    sign_x = 1 - 2 * draws.chances(seeds_B, _FLIP_H, how.flip_h).float()
    sign_y = 1 - 2 * draws.chances(seeds_B, _FLIP_V, how.flip_v).float()
    centre_x = (2 * u_B4[:, 2] - 1) * (1 - wide)
    centre_y = (2 * u_B4[:, 3] - 1) * (1 - high)
    # No axis depends on the other, so the grid is two rows a picture, not a matrix product.
    x_BX = _centres(image.shape[3], image) * (wide * sign_x)[:, None] + centre_x[:, None]
    y_BY = _centres(image.shape[2], image) * (high * sign_y)[:, None] + centre_y[:, None]
    shape = (len(image), *image.shape[2:])
    at = torch.stack([x_BX[:, None].expand(shape), y_BY[:, :, None].expand(shape)], -1)
    return grid_sample(image, at, padding_mode="border", align_corners=False)


def _centres(count: int, like: Tensor) -> Tensor:
    """Centres of `count` pixels on -1..1."""
    return (torch.arange(count, device=like.device, dtype=like.dtype) * 2 + 1) / count - 1


def _colour(image: Tensor, seeds_B: Tensor, jitter: float) -> Tensor:
    channels = image.shape[1]
    factor = 1 + jitter * (2 * draws.uniforms(seeds_B, _COLOUR, 2 + channels) - 1)
    gain_BC = factor[:, :1] * (factor[:, 2:] if channels > 1 else 1.0)
    contrast_B1 = factor[:, 1:2]
    mean_B1 = image.mean((1, 2, 3))[:, None]
    # ((x - mean) contrast + mean) gain, as one product and one sum
    slope, offset = contrast_B1 * gain_BC, (1 - contrast_B1) * mean_B1 * gain_BC
    return torch.addcmul(offset[..., None, None], image, slope[..., None, None]).clamp_(0, 1)
