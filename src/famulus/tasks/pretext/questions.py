"""A pretext with its settings: what is drawn, what is composed, what an answer is.

Shapes: B samples, P pictures that one sample needs, C channels, Y X pixels, N slots, K classes.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from famulus.feed import draws
from famulus.images.views import View, augment, pixel_noise
from famulus.tasks.pretext import transforms as pretext
from famulus.tasks.pretext.shortcuts import take_away
from famulus.tasks.pretext.transforms import Composed

KINDS = ("unmix", "scale", "quadrant", "patchwork", "rotation", "contrastive")
SLOTTED = ("unmix", "scale")  # sources beside the image, one answer a slot
BINS = 1 << 20  # streams of controls lie above all others
OTHER_LABELS = 0x5EED  # seeds of shuffled labels
NOISE_MEAN, NOISE_SD = 0.5, 0.5


@dataclass(frozen=True)
class Question:
    """One pretext. Fields that a kind does not use have no effect; the task refuses them."""

    kind: str
    slots: int = 3
    mixed: int = 2
    alpha: float = 1.0
    least: float = 0.1  # of a mixing weight, or of a brightness
    grid: int = 2
    patch: float = 0.375  # side of the patch, as a share of the shorter side
    positive: float = 0.5  # share of own patches
    fixed: bool = False  # the patch always comes from and goes to the same place
    copy: str | None = None  # source | mixture
    view: View = field(default_factory=View)
    independent: bool = False  # views of image and sources (or patch) drawn apart
    control: str | None = None  # noise | zero | shuffled
    without: tuple[str, ...] = ()  # shortcuts taken away

    @property
    def pictures(self) -> int:
        """P: the sample's own picture and its partners."""
        return {"unmix": self.slots, "patchwork": 2}.get(self.kind, 1)

    @property
    def classes(self) -> int | None:
        """K for questions of one class, else None."""
        return {"quadrant": self.grid**2, "patchwork": 2, "rotation": 4}.get(self.kind)

    def side(self, size: tuple[int, int]) -> int:
        """Of the patch, in pixels."""
        return max(1, round(self.patch * min(size)))

    def draw(self, seeds_B: Tensor, size: tuple[int, int]) -> Tensor:
        """The answer alone: int64 B for classes, else float32 BN weights (0 = not in)."""
        if self.control == "shuffled":
            # labels of another draw: as frequent as the true ones, and of no picture
            seeds_B = seeds_B ^ OTHER_LABELS
        match self.kind:
            case "unmix":
                weights = pretext.unmix_draw(
                    seeds_B, self.slots, self.mixed, self.alpha, self.least
                )
                if self.copy == "source":
                    return one_hot(weights.argmax(1), self.slots).float()
                if self.copy == "mixture":
                    free = torch.zeros_like(weights)
                    free.scatter_(1, (weights > 0).to(torch.int64).argmin(1, keepdim=True), 1)
                    return weights + free * (weights == 0)
                return weights
            case "scale":
                return pretext.scale_draw(seeds_B, self.slots, self.mixed, self.least)
            case "quadrant":
                return pretext.quadrant_draw(seeds_B, self.grid)
            case "patchwork":
                side = self.side(size)
                patch = pretext.patch_draw(seeds_B, size, side, self.positive, self.fixed)
                return patch.own_B.long()
            case "rotation":
                return pretext.rotation_draw(seeds_B)
            case "contrastive":
                return self._mixing(seeds_B)
        raise ValueError(f"expected a pretext of {', '.join(KINDS)}, received {self.kind!r}")

    def _mixing(self, seeds_B: Tensor) -> Tensor:
        """float32 B1: the image's own weight when it is mixed with another of its batch."""
        if self.mixed < 2:
            return torch.ones(len(seeds_B), 1)
        pair = pretext.unmix_draw(seeds_B, 2, 2, self.alpha, self.least)
        # the heavier one is the image's own: its index stays the best single answer
        return pair.amax(1, keepdim=True)

    def compose(self, pictures_BPCYX: Tensor, seeds_B: Tensor) -> Composed:
        """The whole batch of questions, on the pictures' device."""
        made = self._composed(pictures_BPCYX, seeds_B)
        image, sources, target = made.image, made.sources, made.target
        if self.control == "shuffled":
            size = (image.shape[2], image.shape[3])
            weights = self.draw(seeds_B, size).to(image.device)
            target = weights if self.classes else (weights > 0).float()
            made = Composed(image, target, sources, weights, made.box)
        for name in self.without:
            image = take_away(name, image, made.box)
            sources = None if sources is None else take_away(name, sources, made.box)
        # last: the answers stay those of the pictures, so only the inputs carry nothing
        if self.control in ("noise", "zero"):
            image, *rest = self._replaced(image, sources, seeds_B)
            sources = rest[0] if rest else None
        return Composed(image, target, sources, made.weights, made.box)

    def _composed(self, pictures: Tensor, seeds_B: Tensor) -> Composed:
        first, size = pictures[:, 0], (pictures.shape[3], pictures.shape[4])
        how = self.view

        def view(picture: Tensor, number: int) -> Tensor:
            return augment(picture, seeds_B, how, number)

        match self.kind:
            case "unmix":
                weights = pretext.unmix_draw(
                    seeds_B, self.slots, self.mixed, self.alpha, self.least
                )
                mixed = self._views(pictures, seeds_B, 0)
                shown = self._views(pictures, seeds_B, self.slots) if self.independent else mixed
                return pretext.unmix(mixed, shown, weights, self.copy)
            case "scale":
                weights = pretext.scale_draw(seeds_B, self.slots, self.mixed, self.least)
                return pretext.scale(view(first, 0), weights)
            case "quadrant":
                cell = pretext.quadrant_draw(seeds_B, self.grid)
                return pretext.quadrant(view(first, 0), cell, self.grid)
            case "patchwork":
                patch = pretext.patch_draw(
                    seeds_B, size, self.side(size), self.positive, self.fixed
                )
                # under the view of the other picture: a patch must not be told by how it was
                # changed
                own = view(first, 1) if self.independent else None
                other = view(pictures[:, 1], 1)
                return pretext.patchwork(view(first, 0), other, patch, own)
            case "rotation":
                return pretext.rotation(view(first, 0), pretext.rotation_draw(seeds_B))
            case "contrastive":
                weight = self._mixing(seeds_B).to(pictures.device)
                return Composed(view(first, 0), weight, view(first, 1)[:, None], weight)
        raise ValueError(f"expected a pretext of {', '.join(KINDS)}, received {self.kind!r}")

    def _views(self, pictures: Tensor, seeds_B: Tensor, first: int) -> Tensor:
        if self.view.nothing:
            return pictures
        number_BN = first + torch.arange(pictures.shape[1]).expand(pictures.shape[:2])
        seeds_BN = seeds_B[:, None].expand(pictures.shape[:2])
        flat = augment(pictures.flatten(0, 1), seeds_BN.flatten(), self.view, number_BN.flatten())
        return flat.view_as(pictures)

    def _replaced(self, image: Tensor, sources: Tensor | None, seeds_B: Tensor) -> list[Tensor]:
        """Noise or zeros in the shape of every input: nothing can be learned from them."""
        inputs = [image] if sources is None else [image, sources]
        if self.control == "zero":
            return [torch.zeros_like(x) for x in inputs]
        return [
            (NOISE_MEAN + NOISE_SD * pixel_noise(seeds_B, BINS + i, x)).clamp(0, 1)
            for i, x in enumerate(inputs)
        ]


def partners(seeds_B: Tensor, index_B: Tensor, count: int, samples: int) -> Tensor:
    """int64 BP of `count` different samples, the own index first; for one picture just that.

    Raises ValueError if there are not enough samples.
    """
    if count == 1:
        return index_B[:, None]
    if samples < count:
        raise ValueError(f"expected at least {count} pictures, received {samples}")
    step_BK = 1 + draws.distinct(seeds_B, BINS - 1, count - 1, samples - 1)
    return torch.cat([index_B[:, None], (index_B[:, None] + step_BK) % samples], 1)
