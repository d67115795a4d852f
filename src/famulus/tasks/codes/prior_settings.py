"""What an experiment of task prior may say: its sections `data`, `model` and `loss`."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from famulus.config.schema import Strict, operational
from famulus.tasks.codes.data import CodedData
from famulus.tasks.codes.sampler import Sampling


class PriorData(CodedData):
    """Without `codes:` pictures and their grey levels. With it the first stage's own pictures are
    taken, in its own frame, and only `conditional` can be set."""

    name: str | None = Field(None, description="without codes: a set's name or a path")  # type: ignore[assignment]
    levels: int | None = Field(None, ge=2, le=256, description="without codes: grey levels")
    binarise: Literal["threshold", "stochastic"] = Field(
        "threshold", description="2 levels: cut at one half, or drawn anew in every epoch"
    )
    conditional: bool = Field(False, description="tell the prior the picture's class")


class PriorModel(Strict):
    """Which net, and how pictures of samples are drawn from it."""

    kind: Literal["pixelcnn", "transformer"] = "pixelcnn"
    width: int = Field(64, ge=1, description="channels")
    layers: int = Field(8, ge=1, description="gated layers, or transformer blocks")
    first_kernel: int = Field(7, ge=3, description="pixelcnn: odd side of the first layer")
    kernel: int = Field(3, ge=3, description="pixelcnn: odd side of the others")
    heads: int = Field(4, ge=1, description="transformer: attention heads")
    dropout: float = Field(0.0, ge=0, lt=1, description="transformer: share dropped")
    samples: int = operational(8, "pictures drawn whenever pictures are due", ge=0, le=64)
    temperature: float = operational(1.0, "of those samples", ge=0)
    top_k: int | None = operational(None, "of those samples: likeliest codes kept", ge=1)
    top_p: float | None = operational(None, "of those samples: share of the mass kept", gt=0, le=1)
    sampling_limit_s: float = operational(
        120.0, "samples forecast to take longer are not drawn", gt=0
    )

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        Sampling(0, self.temperature, self.top_k, self.top_p)  # refuses what can't be drawn with
        return self


class PriorLoss(Strict):
    """Cross-entropy in nats a code: there is nothing to set."""


class PriorConfig(Strict):
    parents: ClassVar[tuple[str, ...]] = ("codes",)
    optional_parents: ClassVar[tuple[str, ...]] = ("codes",)
    data: PriorData = PriorData()
    model: PriorModel = PriorModel()
    loss: PriorLoss = PriorLoss()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.data.name is None) != (self.data.levels is None):
            raise ValueError("data: name and levels go together: expected both or neither")
        if self.data.name is None:
            plain = PriorData(conditional=self.data.conditional)
            named = [
                k for k in PriorData.model_fields if getattr(self.data, k) != getattr(plain, k)
            ]
            if named:
                raise ValueError(
                    f"data.{named[0]}: the first stage's own pictures and grid are used: with "
                    "codes: expected data.conditional alone (set the rest in the codes run)"
                )
        return self
