"""The `model:` of task pretext: an encoder and a head."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import nn

from famulus.config.errors import ConfigError
from famulus.config.schema import Strict
from famulus.tasks.pretext.encoder_settings import EncoderSettings
from famulus.tasks.pretext.heads import COMPARING, Projector, class_head, comparing_head
from famulus.tasks.pretext.net import PretextNet


class PretextHead(Strict):
    """Null: pair for slots, linear for classes, projection for contrastive."""

    kind: Literal[
        "dot", "mlp", "cosine", "distance", "pair", "local", "linear", "concat_pool", "projection"
    ]
    embedding: int = Field(128, ge=1, description="numbers that are compared")
    hidden: int = Field(256, ge=1, description="units of the hidden layer")
    act: Literal["relu", "leaky_relu", "mish", "gelu", "silu"] = "relu"
    norm: bool = Field(True, description="mlp: batch norm")
    dropout: float = Field(0.0, ge=0, lt=1, description="mlp, concat_pool")
    prior: bool = Field(True, description="start at the base rate (inverse sigmoid in the bias)")


class PretextModel(Strict):
    encoder: EncoderSettings = EncoderSettings()
    head: PretextHead | None = None
    shared: bool = Field(True, description="one encoder call for the image and all slots")

    def build(
        self,
        colours: int,
        size: Sequence[int],
        classes: int | None,
        base_rate: float | None,
        load: bool = True,
    ) -> PretextNet:
        """`classes` K of a class head; `base_rate` where the answer starts; `load` as of the
        encoder. Raises ConfigError."""
        encoder, _ = self.encoder.build(colours, size, load)
        h = self.head
        try:
            if h.kind == "projection":
                head: nn.Module = Projector(encoder.width, h.hidden, h.embedding)
            elif h.kind in COMPARING:
                head = comparing_head(
                    h.kind,
                    encoder.width,
                    embedding=h.embedding,
                    hidden=h.hidden,
                    act=h.act,
                    norm=h.norm,
                    dropout=h.dropout,
                    # else the first steps only find out how often a slot is in
                    prior=base_rate if h.prior else None,
                )
            else:
                head = class_head(h.kind, encoder.width, classes, h.hidden, h.act, h.dropout)
        except ValueError as error:
            raise ConfigError(f"model.head: {error}") from None
        return PretextNet(encoder, head, self.shared)
