"""What an experiment of task codes may say: its sections `data`, `model` and `loss`.

The units are those of the task's docstring.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from famulus.config.errors import Unfit
from famulus.config.schema import Strict
from famulus.tasks.codes.data import CodedData
from famulus.tasks.codes.net import CodedModel
from famulus.tasks.codes.scaling import WITHIN_UNIT


class CodesLoss(Strict):
    """Reconstruction and what holds the codes together (formula in the task's docstring)."""

    reconstruction: Literal["mse", "l1", "bce"] = "mse"
    scale: Literal["variance", "calibrated", "none"] = Field(
        "variance", description="mse: divided by the data's variance, or calibrated Gaussian nats"
    )
    commit_weight: float = Field(0.25, ge=0, description="vqvae: keeps z near its code")
    kl_weight: float = Field(1.0, ge=0, description="vae: 1 = ELBO with scale calibrated")
    kl_warmup_inputs: int = Field(0, ge=0, description="vae: examples until kl_weight is reached")


class CodesConfig(Strict):
    data: CodedData = CodedData()
    model: CodedModel = CodedModel()
    loss: CodesLoss = CodesLoss()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        loss, scaling = self.loss, self.data.scaling
        if loss.reconstruction == "bce":
            if scaling not in WITHIN_UNIT:
                raise Unfit(
                    "loss.reconstruction bce: targets outside 0..1 make it unbounded below: "
                    f"expected data.scaling of {', '.join(WITHIN_UNIT)}, received {scaling}",
                    "loss-unbounded",
                )
            if self.model.output != "none":
                raise Unfit(
                    "loss.reconstruction bce applies the sigmoid itself: expected model.output "
                    f"none, received {self.model.output}",
                    "activation-twice",
                )
        if loss.reconstruction != "mse" and loss.scale == "calibrated":
            raise ValueError(
                f"loss.scale calibrated is Gaussian: expected mse, received {loss.reconstruction}"
            )
        return self
