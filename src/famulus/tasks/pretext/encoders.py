"""Encoders: a picture to a map of features. Heads pool it, each in its own way.

Shapes: B batch, C channels, Y X pixels, D features at y x places.
`stages` are the parts in the order of the data, for freezing and rates a layer. Kinds: `conv`;
`residual` (stem of three convolutions, average-pooled shortcuts: He et al. 2019, arXiv 1812.01187);
`resnet` (torchvision's parameter names for resnet18 and resnet34, so that its weights load by
name: He et al. 2016, arXiv 1512.03385); `timm` (any model of that library, where installed).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from famulus.nets.layers import activation, normalisation

PREFIXES = ("", "encoder.", "net.", "module.", "model.", "backbone.", "module.encoder.")


class Encoder(nn.Module):
    """Standardises 0..1 pixels to about -2..2, then runs `stages` one after the other."""

    stages: nn.ModuleList

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width  # D

    def forward(self, image_BCYX: Tensor) -> Tensor:
        """BDyx."""
        # fixed numbers, not the data's own: an encoder goes on to other pictures
        x = (image_BCYX - 0.5) * 4
        for stage in self.stages:
            x = stage(x)
        return x


def _conv(
    inside: int, out: int, stride: int, norm: str, act: str, kernel: int = 3
) -> list[nn.Module]:
    # a norm takes a bias away again
    conv = nn.Conv2d(inside, out, kernel, stride, kernel // 2, bias=norm == "none")
    return [conv, *normalisation(norm, out, 2), activation(act)]


class StridedEncoder(Encoder):
    """A 3x3 convolution of stride 2 for each entry of `channels`; the first has stride `stem`."""

    def __init__(
        self, colours: int, channels: Sequence[int], stem: int, norm: str, act: str
    ) -> None:
        super().__init__(channels[-1])
        inside = [colours, *channels[:-1]]
        self.stages = nn.ModuleList(
            nn.Sequential(*_conv(i, o, 2 if n else stem, norm, act))
            for n, (i, o) in enumerate(zip(inside, channels, strict=True))
        )


class Residual(nn.Module):
    """act(f(x) + shortcut(x)); f's last norm starts at 0, so that a block starts as its shortcut.

    The shortcut of a block of stride 2 averages before its 1x1 convolution: no pixel is dropped.
    """

    def __init__(self, inside: int, out: int, stride: int, norm: str, act: str) -> None:
        super().__init__()
        self.f = nn.Sequential(
            *_conv(inside, out, stride, norm, act), *_conv(out, out, 1, norm, "none")[:-1]
        )
        last = self.f[-1]
        # without a norm there is no scale to start at 0
        if norm != "none":
            nn.init.zeros_(last.weight)
        short: list[nn.Module] = []
        if stride > 1:
            # ceil: a strided convolution of an odd side rounds up, and both paths must meet
            short.append(nn.AvgPool2d(stride, ceil_mode=True))
        if inside != out:
            short += _conv(inside, out, 1, norm, "none", kernel=1)[:-1]
        self.shortcut = nn.Sequential(*short)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.f(x) + self.shortcut(x))


class ResidualEncoder(Encoder):
    """Stem to channels[0] (stride `stem`), then `blocks` residual blocks an entry of `channels`."""

    def __init__(
        self, colours: int, channels: Sequence[int], blocks: int, stem: int, norm: str, act: str
    ) -> None:
        super().__init__(channels[-1])
        first, half = channels[0], max(1, channels[0] // 2)
        stages: list[nn.Module] = [
            nn.Sequential(
                *_conv(colours, half, stem, norm, act),
                *_conv(half, half, 1, norm, act),
                *_conv(half, first, 1, norm, act),
            )
        ]
        inside = first
        for number, out in enumerate(channels):
            stage = []
            for block in range(blocks):
                stride = 2 if number and not block else 1
                stage.append(Residual(inside, out, stride, norm, act))
                inside = out
            stages.append(nn.Sequential(*stage))
        self.stages = nn.ModuleList(stages)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with torchvision's parameter names."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or inside != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.downsample is None else self.downsample(x)
        return relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))) + short)


class ResNet(Encoder):
    """resnet18 or resnet34 without its classifier, ReLU throughout, 3 channels in.

    Grey pictures are repeated over the channels. Its pixels are expected standardised as ImageNet.
    """

    LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # noqa: RUF012 - read only

    def __init__(self, depth: int) -> None:
        super().__init__(512)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inside = 64
        for number, blocks in enumerate(self.LAYERS[depth]):
            out = 64 << number
            # the first stage keeps its size: stem and pooling have already quartered it
            strides = [2 if number else 1] + [1] * (blocks - 1)
            layer = []
            for stride in strides:
                layer.append(BasicBlock(inside, out, stride))
                inside = out
            setattr(self, f"layer{number + 1}", nn.Sequential(*layer))
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            # not persistent: torchvision's own files don't have them
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    @property
    def stages(self) -> list[nn.Module]:  # type: ignore[override]
        # a view for freezing: names in the state must stay torchvision's
        stem = nn.ModuleList([self.conv1, self.bn1])
        return [stem, self.layer1, self.layer2, self.layer3, self.layer4]

    def forward(self, image_BCYX: Tensor) -> Tensor:
        # no copy of a grey picture
        x = (image_BCYX.expand(-1, 3, -1, -1) - self.mean) / self.std
        x = nn.functional.max_pool2d(relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class TimmEncoder(Encoder):
    """A model of the library timm, with fresh weights; tokens become a map of height 1 .. L.

    Raises ValueError, naming the extra, where timm or what it needs can't be imported.
    """

    def __init__(self, name: str, colours: int, size: Sequence[int]) -> None:
        try:
            # here: an extra that few have, and slow to import
            import timm
        except Exception as error:  # torchvision's own import can raise RuntimeError
            raise ValueError(
                f"encoder.kind timm: expected the extra timm (pip install 'famulus[timm]') in an "
                f"environment whose torchvision matches its torch; importing it failed: {error}"
            ) from error
        if name not in timm.list_models():
            raise ValueError(f"encoder.name: timm has no model {name!r}; see timm.list_models()")
        # nothing is downloaded: weights come from a file that a person names
        net = timm.create_model(
            name, pretrained=False, num_classes=0, global_pool="", in_chans=colours
        )
        super().__init__(net.num_features)
        self.net = net
        with torch.no_grad():
            try:
                # eval: a trial picture must not move batch statistics
                self.net.eval().forward_features(torch.zeros(1, colours, *size))
            except Exception as error:
                raise ValueError(
                    f"encoder.name {name}: does not take pictures of {tuple(size)} pixels: {error}"
                ) from error
            finally:
                self.net.train()

    @property
    def stages(self) -> list[nn.Module]:  # type: ignore[override]
        return list(self.net.children())

    def forward(self, image_BCYX: Tensor) -> Tensor:
        out = self.net.forward_features((image_BCYX - 0.5) * 4)
        if out.ndim == 3:  # B, tokens, D
            return out.transpose(1, 2)[..., None]
        if out.ndim == 2:
            return out[..., None, None]
        if out.shape[1] != self.width:  # some models end with the channels last
            return out.permute(0, 3, 1, 2)
        return out


@dataclass(frozen=True)
class Loaded:
    """What `load_by_name` did."""

    loaded: list[str]
    left_out: list[str]  # names of the file that the encoder does not have, or in another shape
    missing: list[str]  # the encoder's own that the file does not have: they keep their values


def load_by_name(encoder: nn.Module, weights: Mapping[str, Tensor], prefix: str = "") -> Loaded:
    """Copies every tensor whose name and shape agree, after `prefix` (else the commonest one).

    Raises ValueError if none does: then it is another net.
    """
    own = encoder.state_dict()
    best: dict[str, Tensor] = {}
    # by trial: names before the encoder's own depend on who saved it
    for start in (prefix,) if prefix else PREFIXES:
        fitting = {
            name[len(start) :]: value
            for name, value in weights.items()
            if name.startswith(start)
            and name[len(start) :] in own
            and own[name[len(start) :]].shape == value.shape
        }
        best, prefix = (fitting, start) if len(fitting) > len(best) else (best, prefix)
    if not best:
        shown = ", ".join(sorted(weights)[:3])
        mine = ", ".join(sorted(own)[:3])
        raise ValueError(f"no weight fits by name and shape: expected {mine} ..., received {shown}")
    with torch.no_grad():
        for name, value in best.items():
            own[name].copy_(value)
    left_out = [n for n in weights if not n.startswith(prefix) or n[len(prefix) :] not in best]
    return Loaded(sorted(best), sorted(left_out), sorted(set(own) - set(best)))


def build_encoder(
    kind: str,
    colours: int,
    size: Sequence[int],
    *,
    channels: Sequence[int] = (32, 64, 128),
    blocks: int = 1,
    stem: int = 1,
    norm: str = "batch",
    act: str = "relu",
    name: str | None = None,
) -> Encoder:
    """An encoder for pictures of `colours` channels and `size` (Y, X).

    Raises ValueError for an unknown kind or name, or if the map would be smaller than one place.
    """
    if kind == "timm":
        if name is None:
            raise ValueError("encoder.name: timm needs the name of a model")
        return TimmEncoder(name, colours, size)
    if kind == "resnet":
        depths = {f"resnet{d}": d for d in ResNet.LAYERS}
        if name not in depths or colours not in (1, 3):
            raise ValueError(f"encoder.name: expected one of {', '.join(depths)}, received {name}")
        return ResNet(depths[name])
    if kind == "conv":
        return StridedEncoder(colours, channels, stem, norm, act)
    if kind == "residual":
        return ResidualEncoder(colours, channels, blocks, stem, norm, act)
    raise ValueError(f"encoder.kind: expected conv, residual, resnet or timm, received {kind!r}")
