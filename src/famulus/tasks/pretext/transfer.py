"""Transfer: what is a pretrained encoder worth where labels are few?

Shapes: B batch, C channels, Y X pixels, D features, K classes.
Units: `loss` nats; `accuracy`, `balanced_accuracy` (mean over the classes) and `knn` (vote of the
20 nearest training pictures by the encoder's features) are shares of the validation pictures.
`pretext: RUN@best` names the run whose encoder starts here; without it the same encoder starts
from random weights, which is what a pretext must beat, as it must the floor `raw-pixel kNN`.
Labels are matched by class name. Source: thawing arXiv 1801.06146; kNN arXiv 1805.01978.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from famulus.config.apply_options import flag, known
from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import validation_seeds
from famulus.feed.source import Splits
from famulus.images.arrays import over_pictures
from famulus.images.labelled_source import LabelledSource, open_labelled
from famulus.images.look import look
from famulus.images.strip import strip
from famulus.images.unit import as_unit
from famulus.tasks.base import (
    Batch,
    Facts,
    Floor,
    Parent,
    Picture,
    Position,
    Proposal,
    Task,
)
from famulus.tasks.pretext import constant_baseline as constant
from famulus.tasks.pretext.apply_answers import write_answers
from famulus.tasks.pretext.apply_features import write_features
from famulus.tasks.pretext.encoder_settings import EncoderSettings
from famulus.tasks.pretext.encoders import Encoder, load_by_name
from famulus.tasks.pretext.examiner import Examiner, table_picture
from famulus.tasks.pretext.freezing import frozen_parts
from famulus.tasks.pretext.heads import class_head
from famulus.tasks.pretext.proposal import transfer_proposal
from famulus.tasks.pretext.representation import nearest_accuracy
from famulus.tasks.pretext.scores import TRANSFER
from famulus.tasks.pretext.transfer_net import TransferNet
from famulus.tasks.pretext.transfer_settings import TransferConfig

PORTION = 256  # pictures at a time
BANK = 8192  # training pictures that vote, at most
EXAMINED = 4096  # validation pictures looked through for mistakes, at most


class Transfer(Task):
    Config = TransferConfig
    SCORES = TRANSFER
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "features": "true: features.npz of the encoder in place of answers (false)"
    }

    def __init__(self, config: TransferConfig, parents: Mapping[str, Parent]) -> None:
        super().__init__(config, parents)
        self._splits: Splits | None = None
        self.parent = parents.get("pretext")
        if self.parent and self.parent.config.get("task") not in ("pretext", "transfer"):
            raise ConfigError(
                f"pretext: expected a run of task pretext or transfer, received {self.parent.run}"
                f" of task {self.parent.config.get('task')}"
            )

    # -- what is trained on what -------------------------------------------------------------

    def data(self) -> Splits:
        if self._splits is None:
            self._splits = open_labelled(self.config.data, self.config.data.views.view())
        return self._splits

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.basis["classes"])

    def built_from(self, data: Splits) -> dict[str, Any]:
        train = data.train
        basis = {"shape": list(train.shape), "classes": list(train.classes)}
        return basis | train.recipe.scale

    def _settings(self) -> EncoderSettings:
        own = self.config.model.encoder
        if self.parent is None:
            return own or EncoderSettings()
        theirs = _encoder_of(self.parent)
        start = {"weights": None, "weights_sha256": None}  # theirs come with the run
        theirs = theirs.model_copy(update=start)
        if own is not None and own.model_copy(update=start) != theirs:
            raise ConfigError(
                f"model.encoder: expected null or that of run {self.parent.run}"
                f" ({theirs.kind}, {theirs.channels or theirs.name}), received {own.kind},"
                f" {own.channels or own.name}"
            )
        return theirs

    @classmethod
    def proposal(cls, name: str) -> Proposal:
        return transfer_proposal(look(name))

    def build(self) -> nn.Module:
        model = self.config.model
        colours, *size = self.basis["shape"]
        fresh = self.stored is None  # else all weights are about to be loaded
        encoder, _ = self._settings().build(colours, size, load=fresh)
        if self.parent is not None and fresh:
            _load(encoder, self.parent)
        head = class_head(
            model.head, encoder.width, len(self.classes), model.hidden, "relu", model.dropout
        )
        return TransferNet(encoder, head, self._frozen(len(encoder.stages), 0))

    def _frozen(self, stages: int, inputs: int) -> int:
        model = self.config.model
        start = stages if model.frozen == "all" else model.frozen
        return frozen_parts(stages, inputs, start, model.thaw_every)

    def on_inputs(self, model: nn.Module, at: Position) -> None:
        """Thaws; a function of the inputs alone, so a resumed run thaws at the same place."""
        frozen = self._frozen(len(model.stages), at.inputs)
        if frozen != model.frozen:
            model.thaw(frozen)

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The head at the full rate, each stage at `layer_decay` times that of the next.

        Stages that will thaw are there from the start; those that never do are left out.
        """
        settings, stages = self.config.model, model.stages
        groups = [{"params": list(model.head.parameters()), "lr_scale": 1.0}]
        never = 0 if settings.thaw_every else self._frozen(len(stages), 0)
        for depth, stage in enumerate(reversed(stages), 1):
            parameters = list(stage.parameters())
            if parameters and len(stages) - depth >= never:
                groups.append({"params": parameters, "lr_scale": settings.layer_decay**depth})
        return groups

    def facts(self) -> Facts:
        shown = {
            "encoder_from": f"run {self.parent.run}" if self.parent else "random weights",
            "classes": list(self.classes),
            "class_counts": self.data().train.counts,
        }
        return Facts(shown=shown)

    # -- loss and scores -------------------------------------------------------------------------

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        logits = model(batch["image"]).float()
        smoothing = self.config.loss.label_smoothing
        total = nn.functional.cross_entropy(logits, batch["label"], label_smoothing=smoothing)
        return {"total": total}

    @torch.no_grad()
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        # here only the counts are needed
        examiner = Examiner(len(self.classes), keep=1)
        loss, features, labels = 0.0, [], []
        for batch in batches:
            map_BDyx = model.encoder(batch["image"])
            logits = model.head(map_BDyx).float()
            loss += float(nn.functional.cross_entropy(logits, batch["label"], reduction="sum"))
            examiner.add(logits.softmax(1), batch["label"], batch["index"])
            features.append(map_BDyx.mean((-2, -1)).float())
            labels.append(batch["label"])
        if not examiner.seen:
            raise DataError("expected at least one validation picture, received none")
        hits, held = examiner.confusion.diagonal().double(), examiner.confusion.sum(1)
        result = {
            "loss": loss / examiner.seen,
            "accuracy": examiner.accuracy,
            # classes without a picture have no accuracy; they must not count as 0
            "balanced_accuracy": float((hits / held.clamp(min=1))[held > 0].mean()),
        }
        if self.config.model.knn:
            device = features[0].device
            # plain pictures vote: an augmented bank would be judged by its draws
            parts = list(self._portions(self.data().train, device, augmented=False))
            bank = torch.cat([model.features(b["image"]).float() for b in parts])
            votes = torch.cat([b["label"] for b in parts])
            query, own = torch.cat(features), torch.cat(labels)
            result["knn"] = nearest_accuracy(query, own, bank, votes, len(self.classes))
        return result

    def _portions(
        self, source: LabelledSource, device: torch.device, augmented: bool, most: int = BANK
    ) -> Iterable[Batch]:
        """The first `most` samples, in order."""
        for start in range(0, min(len(source), most), PORTION):
            chosen = np.arange(start, min(start + PORTION, len(source), most))
            seeds = validation_seeds(chosen)
            batch = {k: v.to(device) for k, v in source.gather(chosen, seeds).items()}
            batch["index"] = torch.from_numpy(chosen).to(device)
            if augmented:
                yield source.finish(batch, seeds)
            else:
                yield {**batch, "image": as_unit(batch["image"])}

    def floors(self, data: Splits) -> dict[str, Floor]:
        held_out = torch.from_numpy(data.validation.labels)
        count = len(self.classes)
        # of the training labels: those of validation are not known to anyone who answers
        commonest = int(torch.bincount(torch.from_numpy(data.train.labels)).argmax())
        floors = {
            "best constant": Floor("loss", constant.classes(held_out, count), "best constant"),
            "initial loss": Floor("loss", math.log(count), "initial loss"),
            "commonest": Floor(
                "accuracy", float((held_out == commonest).double().mean()), "commonest class"
            ),
        }
        cpu = torch.device("cpu")
        train, query = (
            list(self._portions(source, cpu, augmented=False))
            for source in (data.train, data.validation)
        )
        bank, votes = _pixels(train), torch.cat([b["label"] for b in train])
        value = nearest_accuracy(
            _pixels(query), torch.cat([b["label"] for b in query]), bank, votes, count
        )
        floors["raw pixels"] = Floor("accuracy", value, "raw-pixel kNN")
        return floors

    # -- to look at, and to use --------------------------------------------------------------------

    @torch.no_grad()
    def examine(self, model: nn.Module, keep: int = 12) -> Examiner:
        """Every validation picture once, in eval mode as the caller left it."""
        examiner = Examiner(len(self.classes), keep)
        device, source = next(model.parameters()).device, self.data().validation
        for batch in self._portions(source, device, augmented=False, most=EXAMINED):
            examiner.add(model(batch["image"]).float().softmax(1), batch["label"], batch["index"])
        return examiner

    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        examiner = self.examine(model)
        pictures = {}
        for order in ("most wrong", "least sure", "most sure"):
            if picture := self._shown(examiner, order):
                pictures[order.replace(" ", "-")] = picture
        table = strip(table_picture(examiner.confusion))
        mistakes = ", ".join(
            f"{self.classes[t]} as {self.classes[s]} {n}x" for t, s, n in examiner.confusions(8)
        )
        caption = f"Rows true, columns answered. Commonest mistakes: {mistakes or 'none'}."
        counts = examiner.table(self.classes)
        return pictures | {"confusion": Picture({"fraction of the row": table}, caption, counts)}

    def _shown(self, examiner: Examiner, order: str, most: int = 12) -> Picture | None:
        answers = examiner.select(order, most)
        if not answers:
            return None
        source = self.data().validation
        index = np.array([answer.id for answer in answers])
        images = source.gather(index, validation_seeds(index))["image"]
        words = "; ".join(
            f"{source.names[a.id]}: {self.classes[a.true]} answered {self.classes[a.said]}"
            f" ({a.sure:.2f})"
            for a in answers
        )
        return Picture({order: strip(as_unit(images))}, words)

    @torch.no_grad()
    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """`predictions.csv` in `out` for a file, folder or zip; option `features` writes those.

        Where the pictures lie in folders that bear the names of classes: `examined.json` as well.
        """
        known(options, self.OPTIONS)
        answer, features = self._answers(model, options)
        device, how = next(model.parameters()).device, self.config.data.recipe(self.basis)
        model.eval()
        if features:
            write_features(answer, device, inputs, out, how)
        else:
            write_answers(answer, self.classes, device, inputs, out, how)

    def use(self, model: nn.Module, inputs: Tensor, options: Mapping[str, Any]) -> Tensor:
        """Probabilities BK in the order of `classes` (of one picture K) of pictures CYX or BCYX of
        the training's shape; with option `features` BD."""
        known(options, self.OPTIONS)
        return over_pictures(self._answers(model, options)[0], inputs, self.basis["shape"])

    @staticmethod
    def _answers(
        model: nn.Module, options: Mapping[str, Any]
    ) -> tuple[Callable[[Tensor], Tensor], bool]:
        """What is asked of image_BCYX, and whether that are features."""
        if flag(options, "features"):
            return lambda image: model.features(image).float(), True
        return lambda image: model(image).float().softmax(1), False


def _encoder_of(parent: Parent) -> EncoderSettings:
    """Its own, or through earlier transfers the first's, as its weights' names show."""
    settings = parent.config.get("model", {}).get("encoder")
    if settings is None:
        raise ConfigError(
            f"pretext: run {parent.run} took its encoder from another run: name that run, or set"
            " model.encoder there"
        )
    return EncoderSettings.model_validate(settings)


def _load(encoder: Encoder, parent: Parent) -> None:
    try:
        # the head is left behind: it answers another question
        done = load_by_name(encoder, parent.weights, "encoder.")
    except ValueError as error:
        raise ConfigError(f"pretext: run {parent.run}: {error}") from None
    if done.missing:
        raise ConfigError(
            f"pretext: run {parent.run} has no weights of the right shape for {done.missing[0]}:"
            " expected the same data.channels and model.encoder"
        )


def _pixels(batches: list[Batch]) -> Tensor:
    """Centred pixels, one row a picture."""
    rows = torch.cat([b["image"].flatten(1) for b in batches])
    # cosines of raw pixels would be ruled by brightness
    return rows - rows.mean(1, keepdim=True)
