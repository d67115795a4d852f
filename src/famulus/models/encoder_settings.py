"""The `encoder:` of an experiment file: which net, and from which weights it starts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from famulus.config.errors import ConfigError
from famulus.config.schema import Strict
from famulus.models.encoders import Encoder, Loaded, build_encoder, load_by_name

OPTIONS: dict[str, dict[str, object]] = {
    "conv": {"channels": [32, 64, 128], "stem": 1, "norm": "batch", "act": "relu"},
    "residual": {
        "channels": [32, 64, 128],
        "blocks": 1,
        "stem": 1,
        "norm": "batch",
        "act": "relu",
    },
    "resnet": {"name": None},
    "timm": {"name": None},
}


class EncoderSettings(Strict):
    """Which encoder; what a kind does not use is refused."""

    kind: Literal["conv", "residual", "resnet", "timm"] = "residual"
    channels: list[int] | None = Field(None, description="conv, residual: of each stage")
    blocks: int | None = Field(None, ge=1, description="residual: blocks a stage")
    stem: int | None = Field(None, ge=1, le=4, description="stride of the first stage")
    norm: Literal["none", "batch", "group", "instance"] | None = Field(
        None, description="conv, residual"
    )
    act: Literal["relu", "leaky_relu", "mish", "gelu", "silu", "elu"] | None = Field(
        None, description="conv, residual"
    )
    name: str | None = Field(None, description="resnet: resnet18 or resnet34; timm: its model")
    weights: str | None = Field(
        None, description="a .safetensors file, loaded by name and shape before training"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: object) -> object:
        """A kind's own options get their defaults; other kinds' stay null."""
        if not isinstance(given, dict):
            return given
        own = OPTIONS.get(given.get("kind", "residual"), {})
        return given | {k: v for k, v in own.items() if given.get(k) is None and v is not None}

    @model_validator(mode="after")
    def _own_options_only(self) -> Self:
        own = OPTIONS[self.kind]
        every = {name for options in OPTIONS.values() for name in options}
        foreign = sorted(n for n in every - set(own) if getattr(self, n) is not None)
        if foreign:
            raise ValueError(
                f"encoder {self.kind} has no option {foreign[0]}: expected {', '.join(own)}"
            )
        if "name" in own and self.name is None:
            raise ValueError(f"encoder {self.kind}: expected the name of a model")
        return self

    def build(self, colours: int, size: Sequence[int]) -> tuple[Encoder, Loaded | None]:
        """The encoder, and what was loaded from `weights`. Raises ConfigError."""
        options = {name: getattr(self, name) for name in OPTIONS[self.kind]}
        try:
            encoder = build_encoder(self.kind, colours, size, **options)
            if self.weights is None:
                return encoder, None
            inner = encoder.net if self.kind == "timm" else encoder  # timm's own names
            return encoder, load_by_name(inner, _read(Path(self.weights).expanduser()))
        except ValueError as error:
            raise ConfigError(f"model.encoder: {error}") from None


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors" or not path.is_file():
        raise ValueError(f"weights: expected an existing .safetensors file, received {path}")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"weights: {path} cannot be read ({error})") from None
