"""The `encoder:` of an experiment file: which net, and from which weights it starts."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from famulus.config.errors import ConfigError
from famulus.config.schema import Strict, added
from famulus.tasks.pretext.encoders import Encoder, Loaded, build_encoder, load_by_name

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
    weights_sha256: str | None = added(
        None, "of that file, filled in: other weights are another run", pattern="^[0-9a-f]{64}$"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: object) -> object:
        """A kind's own options get their defaults; other kinds' stay null."""
        if not isinstance(given, dict):
            return given
        own = OPTIONS.get(given.get("kind", "residual"), {})
        if given.get("weights") and not given.get("weights_sha256"):
            # in the file that is stored: the same path may hold other weights tomorrow
            given = given | {"weights_sha256": _sha256(given["weights"])}
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

    def build(
        self, colours: int, size: Sequence[int], load: bool = True
    ) -> tuple[Encoder, Loaded | None]:
        """The encoder, and what was loaded from `weights`, unless all are about to be loaded.

        Raises ConfigError.
        """
        options = {name: getattr(self, name) for name in OPTIONS[self.kind]}
        try:
            encoder = build_encoder(self.kind, colours, size, **options)
            if self.weights is None or not load:
                return encoder, None
            inner = encoder.net if self.kind == "timm" else encoder  # timm's own names
            return encoder, load_by_name(inner, self._read())
        except ValueError as error:
            raise ConfigError(f"model.encoder: {error}") from None

    def _read(self) -> dict[str, Tensor]:
        path = Path(self.weights).expanduser()
        # no pickle: a file of weights from elsewhere must not run code
        if path.suffix != ".safetensors" or not path.is_file():
            raise ValueError(f"weights: expected an existing .safetensors file, received {path}")
        # a resumed run would go on from other weights than it began with
        if (digest := _sha256(self.weights)) != self.weights_sha256:
            raise ValueError(
                f"weights: {path} has changed: expected sha256 {str(self.weights_sha256)[:12]},"
                f" received {str(digest)[:12]}; restore the file, or run the experiment anew"
            )
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"weights: {path} cannot be read ({error})") from None


def _sha256(given: object) -> str | None:
    """Of a file's bytes; None if it can't be read, which `build` will say."""
    try:
        with Path(str(given)).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    # RuntimeError: a home folder that expanduser can't find
    except (OSError, RuntimeError):
        return None
