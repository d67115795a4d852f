"""What an experiment of task scroll may say: its sections `data`, `model` and `loss`.

The first two stand with what they configure: `tasks.scroll.data` and `tasks.scroll.net`.
"""

from dataclasses import fields
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from famulus.config.errors import Unfit
from famulus.config.schema import Strict
from famulus.tasks.scroll.data import ScrollData
from famulus.tasks.scroll.ink_loss import Terms
from famulus.tasks.scroll.net import ScrollModel


class ScrollLoss(Strict):
    """recon and kl, or the ink terms; each weight 0 leaves its term out."""

    reconstruction: Literal["l2", "l1"] = "l2"
    kl_weight: float = Field(0.01, ge=0, description="1 = ELBO of unit noise, for kl per voxel")
    ink_weight: float = Field(1.0, ge=0, description="joint: of the ink terms against recon")
    bce: float = Field(1.0, ge=0, description="weight of the cross-entropy")
    dice: float = Field(0.0, ge=0, description="weight of the soft Dice loss")
    focal: float = Field(0.0, ge=0, description="weight of the focal loss")
    tversky: float = Field(0.0, ge=0, description="weight of the Tversky loss")
    gamma: float = Field(2.0, ge=0, description="focal: how much less easy pixels count")
    alpha: float = Field(0.5, ge=0, description="tversky: cost of a false pixel")
    beta: float = Field(0.5, ge=0, description="tversky: cost of a missed pixel")
    noise_scale: bool = Field(False, description="measure the gradient noise scale at validation")
    smoothing: float = Field(0.0, ge=0, lt=1, description="of labels, for bce and focal")

    @property
    def terms(self) -> Terms:
        return Terms(**{field.name: getattr(self, field.name) for field in fields(Terms)})


class ScrollConfig(Strict):
    parents: ClassVar[tuple[str, ...]] = ("pretrained",)
    optional_parents: ClassVar[tuple[str, ...]] = ("pretrained",)
    data: ScrollData = ScrollData()
    model: ScrollModel = ScrollModel()
    loss: ScrollLoss = ScrollLoss()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        model, loss = self.model, self.loss
        if model.output == "sigmoid" and self.data.scale != "range":
            raise ValueError(
                "model.output sigmoid gives 0..1 and z-scored voxels leave that range: expected "
                "data.scale range, received zscore"
            )
        if model.inked and not loss.terms.any:
            raise ValueError("loss: expected a weight above 0 for bce, dice, focal or tversky")
        if model.stage == "pool" and (model.skip or model.mid != "none"):
            raise Unfit(
                "model.skip and model.mid are parts of a block: use model.stage block",
                "option-without-effect",
            )
        if model.norm_at != "mid" and (model.stage == "pool" or model.norm == "none"):
            raise Unfit(
                "model.norm_at places the norm of a block: use model.stage block and a model.norm",
                "option-without-effect",
            )
        if model.freeze and model.kind != "ink":
            raise Unfit(
                f"model.freeze keeps an encoder for kind ink, received {model.kind}",
                "option-without-effect",
            )
        return self
