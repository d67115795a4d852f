"""The `data:` of task pretext: pictures, and the question that is made of them."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from famulus.feed.source import Splits
from famulus.images.class_folders import UNLABELLED, with_unlabelled
from famulus.images.labelled_source import PictureData, Views
from famulus.tasks.pretext.questions import SLOTTED, Question
from famulus.tasks.pretext.source import PretextSource, twin_notes

OWN: dict[str, dict[str, Any]] = {  # what a pretext uses, and its default
    "unmix": {
        "sources": 3, "mixed": 2, "alpha": 1.0, "least": 0.1, "target": "set", "copy": "none",
    },
    "scale": {"sources": 3, "mixed": 2, "least": 0.2, "target": "set"},
    "quadrant": {"grid": 2},
    "patchwork": {"patch": 0.375, "positive": 0.5, "fixed": False},
    "rotation": {},
    "contrastive": {"mixed": 1, "alpha": 1.0, "candidates": 64},
}  # fmt: skip
EVERY = sorted({name for own in OWN.values() for name in own})


class PretextData(PictureData):
    """Pictures, and the question that is made of them. A pretext's own options only."""

    unlabelled: bool = Field(False, description="train on the pictures of folder unsup as well")
    pretext: Literal["unmix", "scale", "quadrant", "patchwork", "rotation", "contrastive"] = "unmix"
    sources: int | None = Field(None, ge=2, le=16, description="unmix, scale: slots to choose from")
    mixed: int | None = Field(
        None, ge=1, description="how many are mixed (unmix, contrastive) or not blank (scale)"
    )
    alpha: float | None = Field(None, gt=0, description="of the weights' Beta or Dirichlet")
    least: float | None = Field(None, ge=0, lt=1, description="smallest weight or brightness")
    target: Literal["set", "weights"] | None = Field(None, description="which, or how much of each")
    copy_: Literal["none", "source", "mixture"] | None = Field(
        None, alias="copy", description="unmix, trivial rungs: the image is a slot, or a slot it"
    )
    grid: int | None = Field(None, ge=2, le=4, description="quadrant: cells a side")
    patch: float | None = Field(None, gt=0, lt=1, description="patchwork: side, as a share")
    positive: float | None = Field(None, ge=0, le=1, description="patchwork: share of own patches")
    fixed: bool | None = Field(None, description="patchwork: always the same place")
    candidates: int | None = Field(None, ge=2, le=256, description="contrastive: at validation")
    views: Views = Views()
    independent: bool = Field(
        False, description="image and sources (or patch) in views of their own"
    )
    frozen: bool = Field(False, description="draw each sample once, not anew in every epoch")
    control: Literal["none", "noise", "zero", "shuffled"] = Field(
        "none", description="inputs or answers that carry nothing: must end at the floor"
    )
    without: list[Literal["colour", "detail", "seam"]] = Field([], description="shortcuts removed")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        # an unknown pretext passes: the field's own check will name those there are
        own = OWN.get(given.get("pretext", "unmix"), {})
        return given | {name: value for name, value in own.items() if given.get(name) is None}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        own = OWN[self.pretext]
        for name in EVERY:
            # an option without effect would look like one that has some
            if name not in own and getattr(self, "copy_" if name == "copy" else name) is not None:
                raise ValueError(
                    f"pretext {self.pretext} has no option {name}: "
                    f"expected {', '.join(own) or 'none'}"
                )
        if self.pretext in SLOTTED and self.target == "set" and self.mixed >= self.sources:
            raise ValueError(
                f"expected mixed below sources, or every answer is the same; received mixed "
                f"{self.mixed} of {self.sources}"
            )
        if self.pretext == "contrastive" and self.mixed > 2:
            raise ValueError(f"pretext contrastive: expected mixed 1 or 2, received {self.mixed}")
        if "seam" in self.without and self.pretext != "patchwork":
            raise ValueError("without seam: only pretext patchwork has one")
        if self.views.view().nothing and self.pretext == "contrastive":
            raise ValueError("pretext contrastive: expected views that differ, as least_area: 0.3")
        return self

    def question(self) -> Question:
        d = {name: getattr(self, name) for name in ("grid", "patch", "positive", "alpha", "least")}
        d |= {"slots": self.sources, "mixed": self.mixed, "fixed": self.fixed}
        copied = None if self.copy_ in (None, "none") else self.copy_
        return Question(
            self.pretext,
            **{name: value for name, value in d.items() if value is not None},
            copy=copied,
            view=self.views.view(),
            independent=self.independent,
            control=None if self.control == "none" else self.control,
            without=tuple(self.without),
        )


FEW = 256  # pictures that a person means to have learned by heart


def _redrawn(train: PretextSource) -> list[str]:
    """A line where few pictures ask endless questions: that is no overfit test."""
    # 12 steps on questions drawn anew look like a net that can't learn
    if train.frozen or len(train) > FEW:
        return []
    return [
        f"{train.base.part.label}: {len(train)} pictures, but their questions are drawn anew in"
        " every epoch: not to be learned by heart; data.frozen: true draws each once"
    ]


def open_questions(settings: PretextData) -> Splits[PretextSource]:
    """Raises ConfigError, DataError as `open_images`."""
    pictures, question = settings.open(), settings.question()
    # in training only: validation is the same with and without them
    train = with_unlabelled(pictures.train) if settings.unlabelled else pictures.train
    asked, held_out = (
        PretextSource(s, question, settings.frozen) for s in (train, pictures.validation)
    )
    used = tuple(f"unused: {folder}" for folder in UNLABELLED) if settings.unlabelled else ()

    def notes() -> list[str]:
        true = [note for note in pictures.notes if not note.endswith(used)]
        return [*_redrawn(asked), *true, *twin_notes(asked.base)]

    return Splits(asked, held_out, notes)
