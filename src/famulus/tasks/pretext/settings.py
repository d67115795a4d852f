"""What an experiment of task pretext may say: its sections `data`, `model` and `loss`.

The first two stand with what they configure: `tasks.pretext.data` and `tasks.pretext.net_settings`.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from famulus.config.schema import Strict
from famulus.tasks.pretext.data import PretextData
from famulus.tasks.pretext.heads import CLASSES, COMPARING
from famulus.tasks.pretext.net_settings import PretextModel
from famulus.tasks.pretext.questions import SLOTTED

SLOT_LOSSES = ("bce", "soft_label", "margin", "l1", "l2", "pairwise")


class PretextLoss(Strict):
    """Null: what fits the target."""

    kind: Literal[
        "bce", "soft_label", "margin", "l1", "l2", "pairwise", "cross_entropy", "info_nce"
    ] | None = None  # fmt: skip
    temperature: float | None = Field(None, gt=0, description="soft_label 1, info_nce 0.2")
    margin: float = Field(1.0, gt=0, description="margin: distance of what does not belong")
    activation: Literal["none", "sigmoid", "softmax"] | None = Field(
        None, description="l1, l2, pairwise: between logits and answer"
    )


class PretextConfig(Strict):
    data: PretextData = PretextData()
    model: PretextModel = PretextModel()
    loss: PretextLoss = PretextLoss()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        """Head, loss and temperature follow the pretext where the file leaves them open."""
        if not isinstance(given, dict):
            return given
        data, model, loss = (dict(given.get(k) or {}) for k in ("data", "model", "loss"))
        kind, weights = data.get("pretext", "unmix"), data.get("target") == "weights"
        default = "pair" if kind in SLOTTED else "linear"
        head = {"kind": "projection" if kind == "contrastive" else default}
        # anything else is left for the field's own check to name
        if isinstance(model.get("head") or {}, dict):
            model["head"] = head | (model.get("head") or {})
        if kind in SLOTTED:
            fits = "soft_label" if weights and kind == "unmix" else "l1" if weights else "bce"
            shape = "softmax" if weights and kind == "unmix" else "sigmoid"
        else:
            fits, shape = ("info_nce" if kind == "contrastive" else "cross_entropy"), None
        if loss.get("kind") is None:
            loss["kind"] = fits
        if loss.get("activation") is None and loss["kind"] in ("l1", "l2", "pairwise"):
            loss["activation"] = shape
        if loss.get("temperature") is None and loss["kind"] in ("soft_label", "info_nce"):
            loss["temperature"] = 0.2 if loss["kind"] == "info_nce" else 1.0
        return {**given, "data": data, "model": model, "loss": loss}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        kind, head, loss = self.data.pretext, self.model.head.kind, self.loss.kind
        if kind in SLOTTED:
            heads, fits = COMPARING, SLOT_LOSSES
        elif kind == "contrastive":
            heads, fits = ("projection",), ("info_nce",)
        else:
            heads, fits = CLASSES, ("cross_entropy",)
        if head not in heads:
            raise ValueError(
                f"model.head.kind: pretext {kind} expects {' or '.join(heads)}, received {head}"
            )
        if loss not in fits:
            raise ValueError(
                f"loss.kind: pretext {kind} expects {' or '.join(fits)}, received {loss}"
            )
        if (loss == "margin") != (head == "distance"):
            raise ValueError(
                f"loss.kind margin and model.head.kind distance go together, received {loss} and"
                f" {head}"
            )
        return self
