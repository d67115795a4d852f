"""Constants through prediction, and how visible window borders are on a trained net."""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from famulus.tasks.scroll import blend
from famulus.tasks.scroll.ink_net import InkNet
from famulus.tasks.scroll.papyrus import PhantomDesign, make

CUBE = (16, 32, 32)


def measure(quick: bool) -> dict[str, float | str | None]:
    torch.manual_seed(0)
    worst = max(
        _constant_error(*case)
        for case in itertools.product(blend.WINDOWS, (32, 16, 11, 8), ((32, 32), (75, 101)))
    )
    phantom = make(PhantomDesign(shape=(16, 192, 192), letter=64, seed=0))
    image = torch.from_numpy(phantom.volume_ZYX.astype(np.float32))
    image = (image - image.mean()) / image.std()
    net = _trained(image, phantom.labels_YX, 40 if quick else 200)
    tiles = _map(net, image, 32, "constant")
    blended = _map(net, image, 8, "hann")
    # the borders of the tiles: the same places in both maps
    s_tiles = np.mean([blend.seam_ratio(tiles, 32, axis) for axis in (0, 1)])
    s_blended = np.mean([blend.seam_ratio(blended, 32, axis) for axis in (0, 1)])
    s_own = np.mean([blend.seam_ratio(blended, 8, axis) for axis in (0, 1)])
    excess = max(s_blended - 1, s_own - 1, 1e-3)  # the null of S scatters by about .02
    return {
        "constant_error": worst,
        "seam_excess_tiles_over_blended": float((s_tiles - 1) / excess),
        "s_tiles": float(s_tiles),
        "s_blended_at_tile_borders": float(s_blended),
        "s_blended_at_its_own_borders": float(s_own),
        "phase_score_tiles": blend.phase_score(tiles, 32, 0),
        "phase_score_blended": blend.phase_score(blended, 8, 0),
    }


def _constant_error(name: str, stride: int, shape: tuple[int, int]) -> float:
    canvas = blend.Canvas(shape, 32, stride, name)
    out = blend.blend(lambda y, x: np.full((1, 32, 32), 0.7, np.float32), canvas)
    return float(np.abs(out - np.float32(0.7)).max())


def _trained(image_ZYX: torch.Tensor, labels_YX: np.ndarray, steps: int) -> nn.Module:
    net = InkNet(CUBE, (8, 16), coarse=2, head=16, prior=0.12)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    label = torch.from_numpy(labels_YX).float()
    random = np.random.default_rng(0)
    for _ in range(steps):
        at = random.integers(0, image_ZYX.shape[1] - 32, (8, 2))
        x = torch.stack([image_ZYX[None, :16, a : a + 32, b : b + 32] for a, b in at])
        t = torch.stack([label[a : a + 32, b : b + 32] for a, b in at])
        loss = F.binary_cross_entropy_with_logits(net(x), F.avg_pool2d(t[:, None], 2)[:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


@torch.no_grad()
def _map(net: nn.Module, image_ZYX: torch.Tensor, stride: int, window: str) -> np.ndarray:
    def tile(y: int, x: int) -> np.ndarray:
        p = net(image_ZYX[None, None, :16, y : y + 32, x : x + 32]).sigmoid()
        return F.interpolate(p[:, None], (32, 32), mode="bilinear")[0].numpy()

    return blend.blend(tile, blend.Canvas(tuple(image_ZYX.shape[1:]), 32, stride, window))[0]
