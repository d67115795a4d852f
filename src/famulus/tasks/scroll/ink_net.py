"""Ink of a surface volume: logits on a grid `coarse` times coarser than the voxels.

An encoder of cubes sees all of the depth; each of its maps is pooled over z (the greatest and the
mean), brought to the coarse grid, and read by convolutions in the plane. Depth is pooled because
the label says where ink is, not how deep.

Shapes: B batch, Z Y X the cube, y x the coarse grid.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from famulus.nets.layers import activation, normalisation
from famulus.tasks.scroll.cubes_net import CubeEncoder, Style, planar


class InkNet(nn.Module):
    """image B1ZYX -> logits Byx, by 2D convolutions where Z is 1. `prior` sets the last bias, so
    that it starts at the base rate.

    `threshold` (a probability) belongs to the model: validation sets it, prediction uses it.
    """

    threshold: Tensor

    def __init__(
        self,
        size: tuple[int, int, int],
        widths: Sequence[int] = (16, 32, 64),
        *,
        coarse: int = 4,
        head: int = 32,
        style: Style | None = None,
        prior: float = 0.5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if size[1] % coarse or size[2] % coarse:
            raise ValueError(f"expected a cube that {coarse} divides, received {size}")
        style = style or Style("block", skip=True, norm="batch", mid="relu")
        self.size, self.coarse = tuple(size), coarse
        self.planar = planar((1, *size))
        self.encoder = CubeEncoder((1, *(size[1:] if self.planar else size)), widths, style)
        self.head = nn.Sequential(
            nn.Conv2d((1 if self.planar else 2) * sum(widths), head, 1),
            *normalisation(style.norm, head, 2),
            activation("relu"),
            nn.Conv2d(head, head, 3, 1, 1),
            *normalisation(style.norm, head, 2),
            activation("relu"),
            nn.Dropout(dropout),
            nn.Conv2d(head, 1, 1),
        )
        last = self.head[-1]
        # nearly 0: the net starts as a constant at the base rate, not with noise that it must
        # unlearn
        nn.init.normal_(last.weight, std=1e-3)
        nn.init.constant_(last.bias, logit(prior))
        self.register_buffer("threshold", torch.tensor(0.5))  # a buffer: a checkpoint carries it

    def forward(self, image: Tensor) -> Tensor:
        grid = (image.shape[-2] // self.coarse, image.shape[-1] // self.coarse)
        maps = []
        for feature in self.encoder(image.squeeze(2) if self.planar else image):
            deep = not self.planar
            # the greatest finds a thin sheet of ink at any depth, the mean keeps what is thick
            flat = torch.cat([feature.amax(2), feature.mean(2)], 1) if deep else feature
            if flat.shape[-1] > grid[-1]:
                flat = F.adaptive_avg_pool2d(flat, grid)
            elif flat.shape[-1] < grid[-1]:
                # align_corners keeps the corners and shifts the rest: grids would not lie above
                # each other
                flat = F.interpolate(flat, grid, mode="bilinear", align_corners=False)
            maps.append(flat)
        return self.head(torch.cat(maps, 1))[:, 0]

    def load_encoder(self, weights: dict[str, Tensor]) -> list[str]:
        """Copies `encoder.*` of another net (an autoencoder's) and returns the names copied.

        Raises ValueError naming the first that differs, or if there is none.
        """
        own = dict(self.encoder.state_dict())
        theirs = {k.removeprefix("encoder."): v for k, v in weights.items() if k[:8] == "encoder."}
        for name, tensor in own.items():
            if name not in theirs or theirs[name].shape != tensor.shape:
                got = tuple(theirs[name].shape) if name in theirs else "nothing"
                raise ValueError(
                    f"encoder.{name}: expected shape {tuple(tensor.shape)}, received {got}: "
                    "give model.widths, stage, skip, norm and norm_at as in the pretrained run"
                )
        # only its own names: a decoder's weights are left out, and nothing else may be missing
        self.encoder.load_state_dict({name: theirs[name] for name in own})
        return sorted(own)


def logit(p: float) -> float:
    """log(p / (1 - p)), p held between 1e-4 and 1 - 1e-4."""
    # a fragment nearly without ink would start a bias at minus infinity
    p = min(max(p, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))
