"""What an experiment of task transfer may say: its sections `data`, `model` and `loss`."""

from typing import ClassVar, Literal

from pydantic import Field

from famulus.config.schema import Strict
from famulus.images.labelled_source import PictureData, Views
from famulus.tasks.pretext.encoder_settings import EncoderSettings


class TransferData(PictureData):
    """Labelled pictures; `subset: 0.1` trains on a tenth of the labels."""

    views: Views = Field(Views(), description="augmentation of the training pictures")


class TransferModel(Strict):
    """`frozen: all` is a linear probe; `frozen: 0` fine-tunes everything from the first step."""

    encoder: EncoderSettings | None = Field(
        None, description="null: the pretext run's; without a run a residual encoder"
    )
    head: Literal["linear", "concat_pool"] = "linear"
    hidden: int = Field(256, ge=1, description="concat_pool: units of the hidden layer")
    dropout: float = Field(0.0, ge=0, lt=1, description="concat_pool")
    frozen: Literal["all"] | int = Field(
        0, description="stages that are not trained, from the first"
    )
    thaw_every: int | None = Field(
        None, ge=1, description="inputs until one more stage is trained, the last first; null never"
    )
    layer_decay: float = Field(1.0, gt=0, le=1, description="rate of a stage over that of the next")
    knn: bool = Field(True, description="score the neighbours' vote at every validation")


class TransferLoss(Strict):
    """Cross-entropy."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share spread over all classes")


class TransferConfig(Strict):
    parents: ClassVar[tuple[str, ...]] = ("pretext",)
    optional_parents: ClassVar[tuple[str, ...]] = ("pretext",)
    data: TransferData = TransferData()
    model: TransferModel = TransferModel()
    loss: TransferLoss = TransferLoss()
