"""Codes whose pictures are stretched between their darkest and brightest value when drawn."""

from dataclasses import dataclass

from torch import Tensor, nn

from famulus.tasks.codes.codes import Codes
from famulus.tasks.codes.scaling import Scaled, Scaling


@dataclass(frozen=True)
class Stretched(Scaled):
    def inverse(self, x: Tensor) -> Tensor:
        grey = super().inverse(x)
        low, high = (edge(grey) for edge in (_least, _most))
        return (grey - low) / (high - low).clamp(min=1e-6)


def _least(grey: Tensor) -> Tensor:
    return grey.amin((1, 2, 3), keepdim=True)


def _most(grey: Tensor) -> Tensor:
    return grey.amax((1, 2, 3), keepdim=True)


class Display(Scaling):
    """The scaling's own statistics, and another way back."""

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Scaled:
        scaled = super().forward(image, mask)
        return Stretched(scaled.x, scaled.shift, scaled.factor)


class CodesStretched(Codes):
    def build(self) -> nn.Module:
        model = super().build()
        model.scaling = Display(model.scaling.name, model.scaling.mean_C, model.scaling.std_C)
        return model
