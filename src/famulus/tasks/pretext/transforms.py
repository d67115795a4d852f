"""Pretexts: questions that pictures answer about themselves, composed as whole batches.

Shapes: B samples, N source slots, C channels, Y X pixels, K classes, G cells a side.
Units: grey ranges 0..1. Every number drawn is a function of the sample's seed alone (see `draws`),
so a batch does not depend on workers, on its neighbours, or on what was composed before.

What is drawn (`*_draw`) stands apart from the pixels, so that targets, and with them the floors,
can be had without decoding a picture.
Source: the journal's own tasks; rotation: Gidaris et al. 2018, arXiv 1803.07728.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from famulus.feed import draws

SLOTS, WEIGHTS, SCALES, PLACE, PATCH, SIGN, FLIPS, NOISE, TURN, COPY = range(1, 11)  # streams


@dataclass(frozen=True)
class Composed:
    """One batch of questions: `image` BCYX, `sources` BNCYX where slots are compared with it.

    `target`: int64 B (a class), or float32 BN (1 where a source is in, or its weight).
    `weights` float32 BN: how much of each source is in the image. `box` int64 B4: the patch that
    was pasted (top, left, height, width).
    """

    image: Tensor
    target: Tensor
    sources: Tensor | None = None
    weights: Tensor | None = None
    box: Tensor | None = None


# -- unmix: which of N pictures were mixed -----------------------------------------------------


def unmix_draw(
    seeds_B: Tensor, slots: int, mixed: int, alpha: float = 1.0, least: float = 0.0
) -> Tensor:
    """weights_BN: `mixed` slots drawn at random hold least + (1 - mixed least) Dirichlet(alpha).

    For two this is a Beta(alpha, alpha); `alpha` inf gives equal weights.
    Raises ValueError if more are mixed than there are slots, or `least` leaves nothing to draw.
    """
    if not 1 <= mixed <= slots or not 0 <= least * mixed < 1 or not alpha > 0:
        raise ValueError(
            "expected 1 <= mixed <= slots, mixed * least < 1 and alpha > 0, "
            f"received {mixed=}, {slots=}, {least=}, {alpha=}"
        )
    order_BN = draws.shuffled(seeds_B, SLOTS, slots)
    if np.isinf(alpha):
        share_BM = torch.full((len(seeds_B), mixed), 1 / mixed, device=seeds_B.device)
    else:
        # by inverting the distribution: rejection would draw another number of numbers for each
        # sample
        u_BM = draws.uniforms(seeds_B, WEIGHTS, mixed).double().cpu().numpy()
        # at 0 and 1 the inverse is 0 or infinite
        gamma_BM = gammaincinv(alpha, u_BM.clip(1e-7, 1 - 1e-7))
        # Very small alpha underflows to 0 throughout: then the largest u takes all.
        gamma_BM = np.where(
            gamma_BM.sum(1, keepdims=True) > 0, gamma_BM, u_BM == u_BM.max(1)[:, None]
        )
        share_BM = torch.from_numpy(gamma_BM / gamma_BM.sum(1, keepdims=True)).float()
        share_BM = share_BM.to(seeds_B.device)
    weights_BN = torch.zeros(len(seeds_B), slots, device=seeds_B.device)
    return weights_BN.scatter(1, order_BN[:, :mixed], least + (1 - mixed * least) * share_BM)


def unmix(
    mixed_BNCYX: Tensor, shown_BNCYX: Tensor, weights_BN: Tensor, copy: str | None = None
) -> Composed:
    """image = sum over n of weights_n mixed_n, shown beside `shown_BNCYX`; target = weights > 0.

    Both are the same pictures, under the same view (aligned) or under independent ones.
    `copy`, two trivial rungs: "source": the image is the heaviest source itself, and that slot
    alone is the answer; "mixture": the first slot that is not in shows the mixture, and counts.
    """
    weights_BN = weights_BN.to(mixed_BNCYX.device)
    if copy == "source":
        heaviest_B = weights_BN.argmax(1)
        weights_BN = torch.nn.functional.one_hot(heaviest_B, weights_BN.shape[1]).float()
        image = _pick(shown_BNCYX, heaviest_B)
        return Composed(image, weights_BN, shown_BNCYX, weights_BN)
    # one product: a stack of weighted copies would be N times the batch
    image = torch.einsum("bn,bncyx->bcyx", weights_BN, mixed_BNCYX)
    if copy == "mixture":
        free_B = (weights_BN > 0).to(torch.int64).argmin(1)  # 0 where every slot is in
        place_BN = torch.nn.functional.one_hot(free_B, weights_BN.shape[1]).bool()
        shown_BNCYX = torch.where(place_BN[:, :, None, None, None], image[:, None], shown_BNCYX)
        weights_BN = weights_BN + place_BN * (weights_BN == 0)
    return Composed(image, (weights_BN > 0).float(), shown_BNCYX, weights_BN)


def _pick(sources_BNCYX: Tensor, slot_B: Tensor) -> Tensor:
    return sources_BNCYX[torch.arange(len(slot_B), device=slot_B.device), slot_B]


# -- scale: which copies are not blank, and how bright is each ---------------------------------


def scale_draw(seeds_B: Tensor, slots: int, shown: int, least: float = 0.2) -> Tensor:
    """weights_BN: `shown` slots hold a brightness of least .. 1, the others 0."""
    if not 1 <= shown <= slots or not 0 < least <= 1:
        raise ValueError(
            f"expected 1 <= shown <= slots, 0 < least <= 1, received {shown=}, {slots=}, {least=}"
        )
    order_BN = draws.shuffled(seeds_B, SLOTS, slots)
    value_BM = least + (1 - least) * draws.uniforms(seeds_B, SCALES, shown)
    weights_BN = torch.zeros(len(seeds_B), slots, device=seeds_B.device)
    return weights_BN.scatter(1, order_BN[:, :shown], value_BM)


def scale(image_BCYX: Tensor, weights_BN: Tensor) -> Composed:
    """Beside the image, copies of it at brightness `weights_BN`; target = weights > 0."""
    weights_BN = weights_BN.to(image_BCYX.device)
    sources = image_BCYX[:, None] * weights_BN[:, :, None, None, None]
    return Composed(image_BCYX, (weights_BN > 0).float(), sources, weights_BN)


# -- quadrant: which part of the picture is this -----------------------------------------------


def quadrant_draw(seeds_B: Tensor, grid: int = 2) -> Tensor:
    """int64 B in 0 .. G*G - 1, row by row."""
    return draws.integers(seeds_B, PLACE, 1, grid * grid)[:, 0]


def quadrant(image_BCYX: Tensor, cell_B: Tensor, grid: int = 2) -> Composed:
    """Cell `cell_B` of a grid x grid division, enlarged to the whole frame (bilinear)."""
    cell_B = cell_B.to(image_BCYX.device)
    centre_y = (2 * (cell_B // grid) + 1) / grid - 1
    centre_x = (2 * (cell_B % grid) + 1) / grid - 1
    theta = image_BCYX.new_zeros(len(cell_B), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / grid
    theta[:, 0, 2], theta[:, 1, 2] = centre_x, centre_y
    at = affine_grid(theta, list(image_BCYX.shape), align_corners=False)
    # border: black beyond the frame would mark the outer cells
    image = grid_sample(image_BCYX, at, padding_mode="border", align_corners=False)
    return Composed(image, cell_B)


# -- patchwork: is the patch the picture's own -------------------------------------------------


@dataclass(frozen=True)
class Patch:
    """Where each patch is cut from and pasted to (top, left in pixels), and whether it is own."""

    own_B: Tensor  # bool
    from_B2: Tensor
    to_B2: Tensor
    side: int


def patch_draw(
    seeds_B: Tensor, size: tuple[int, int], side: int, positive: float = 0.5, fixed: bool = False
) -> Patch:
    """Places follow the same law for own and foreign patches, so that the place says nothing.

    `fixed`: always from the top left to the centre. Raises ValueError if the patch is too large.
    """
    if not 1 <= side < min(size):
        raise ValueError(f"expected a patch of 1 to {min(size) - 1} pixels, received {side}")
    room = torch.tensor([size[0] - side, size[1] - side], device=seeds_B.device)
    if fixed:
        from_B2, to_B2 = torch.zeros_like(room), room // 2
        from_B2, to_B2 = from_B2.expand(len(seeds_B), 2), to_B2.expand(len(seeds_B), 2)
    else:
        # float64: u (room + 1) of a float32 below 1 may round up to room + 1
        u_B4 = draws.uniforms(seeds_B, PATCH, 4).double()
        from_B2 = (u_B4[:, :2] * (room + 1)).long()
        to_B2 = (u_B4[:, 2:] * (room + 1)).long()
    return Patch(draws.chances(seeds_B, SIGN, positive), from_B2, to_B2, side)


def patchwork(
    image_BCYX: Tensor, other_BCYX: Tensor, patch: Patch, own_BCYX: Tensor | None = None
) -> Composed:
    """The image with a patch pasted in, its own or the other's; target 1 = own, int64 B.

    `own_BCYX`: the same picture under another view, from which own patches are cut; else itself.
    """
    own_BCYX = image_BCYX if own_BCYX is None else own_BCYX
    device, side = image_BCYX.device, patch.side
    own_B, from_B2, to_B2 = (t.to(device) for t in (patch.own_B, patch.from_B2, patch.to_B2))
    _, channels, high, wide = image_BCYX.shape
    # both branches for all: one gather on the device, without a loop over samples
    donor = torch.where(own_B[:, None, None, None], own_BCYX, other_BCYX)
    y_BY1 = torch.arange(high, device=device)[None, :, None] - to_B2[:, 0, None, None]
    x_B1X = torch.arange(wide, device=device)[None, None, :] - to_B2[:, 1, None, None]
    inside_BYX = (y_BY1 >= 0) & (y_BY1 < side) & (x_B1X >= 0) & (x_B1X < side)
    rows = (y_BY1 + from_B2[:, 0, None, None]).clamp(0, high - 1)
    columns = (x_B1X + from_B2[:, 1, None, None]).clamp(0, wide - 1)
    index = (rows * wide + columns).flatten(1)[:, None].expand(-1, channels, -1)
    moved = donor.flatten(2).gather(2, index).view_as(image_BCYX)
    image = torch.where(inside_BYX[:, None], moved, image_BCYX)
    box_B4 = torch.cat([to_B2, torch.full_like(to_B2, side)], 1)
    return Composed(image, own_B.long(), box=box_B4)


# -- rotation ----------------------------------------------------------------------------------


def rotation_draw(seeds_B: Tensor) -> Tensor:
    """int64 B in 0..3: quarter turns counter-clockwise."""
    return draws.integers(seeds_B, TURN, 1, 4)[:, 0]


def rotation(image_BCYX: Tensor, turns_B: Tensor) -> Composed:
    """Each picture turned by its own number of quarter turns. Raises ValueError if not square."""
    if image_BCYX.shape[2] != image_BCYX.shape[3]:
        raise ValueError(f"expected square pictures, received {tuple(image_BCYX.shape[2:])}")
    turns_B = turns_B.to(image_BCYX.device)
    # all four, then a choice: turning sample by sample would be B small copies
    turned = torch.stack([torch.rot90(image_BCYX, k, (2, 3)) for k in range(4)], 1)
    return Composed(_pick(turned, turns_B), turns_B)
