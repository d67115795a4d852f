"""Pretext: can pictures teach an encoder without labels, and how much of the score is a shortcut?

Shapes: B batch, N slots, K classes or candidates, C channels, Y X pixels, D features.
Units: `loss` in nats for bce, soft_label, cross_entropy and info_nce, else in the target's unit.
`accuracy` is the share of wholly right answers (all slots of a set). `without_x` is that accuracy
on the same pictures with a shortcut taken away, `x_share` the part of it above chance that was
lost (0 where there is none). `feature_*` and `knn` are of plain pictures: labels are looked at,
never learned.
Source: the journal's tasks; mixed soft labels: arXiv 2003.05438, 2010.08887.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from famulus.config.apply_options import known
from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import validation_seeds
from famulus.feed.source import Splits
from famulus.images.arrays import over_pictures
from famulus.images.look import look
from famulus.images.strip import strip
from famulus.tasks.base import (
    Batch,
    Facts,
    Floor,
    Picture,
    Position,
    Proposal,
    Task,
    made_up,
)
from famulus.tasks.pretext import constant_baseline as constant
from famulus.tasks.pretext import contrastive as losses
from famulus.tasks.pretext.answers import accuracy_of_sets, pixel_probe
from famulus.tasks.pretext.apply_features import write_features
from famulus.tasks.pretext.data import open_questions
from famulus.tasks.pretext.proposal import pretext_proposal
from famulus.tasks.pretext.questions import SLOTTED
from famulus.tasks.pretext.representation import health
from famulus.tasks.pretext.scores import PRETEXT
from famulus.tasks.pretext.settings import PretextConfig
from famulus.tasks.pretext.shortcuts import CONTROLS, take_away
from famulus.tasks.pretext.source import PretextSource

HEALTH = 1024  # validation pictures for rank, spread and neighbours
CONTROLLED = 512  # validation samples that are scored again for each control
SIGMAS = 2.0  # standard errors above chance: up to there an accuracy has no shares
PROBED = 2000  # samples of the pixel probe


class Pretext(Task):
    Config = PretextConfig
    SCORES = PRETEXT

    def __init__(self, config: PretextConfig, parents: Mapping[str, Any]) -> None:
        super().__init__(config, parents)
        self._splits: Splits | None = None
        self.question = config.data.question()

    # -- what is trained on what -------------------------------------------------------------

    def data(self) -> Splits:
        if self._splits is None:
            self._splits = open_questions(self.config.data)
        return self._splits

    def built_from(self, data: Splits) -> dict[str, Any]:
        return {"shape": list(data.train.shape), **data.train.recipe.scale}

    @classmethod
    def proposal(cls, name: str) -> Proposal:
        return pretext_proposal(look(name))

    def build(self) -> nn.Module:
        settings, (colours, *size) = self.config.model, self.basis["shape"]
        if self.config.data.pretext == "rotation" and size[0] != size[1]:
            raise ConfigError(f"pretext rotation: expected square pictures, received {size}")
        rate = self._base_rate() if self.config.loss.kind == "bce" else None
        return settings.build(colours, size, self.question.classes, rate, load=self.stored is None)

    def example(self, model: nn.Module) -> tuple[Tensor, ...]:
        """Two pictures and, where sources are asked for, those of each."""
        shape, slots = self.basis["shape"], self.config.data.sources
        slotted = self.config.data.pretext in SLOTTED
        return (made_up(2, *shape), *([made_up(2, slots, *shape)] if slotted else []))

    def _base_rate(self) -> float:
        # all of them or none would start a bias at infinity
        return min(max(self._in_the_set() / self.config.data.sources, 0.01), 0.99)

    def _in_the_set(self) -> int:
        """How many slots a right answer of `unmix` or `scale` names."""
        data = self.config.data
        return {"source": 1, "mixture": data.mixed + 1}.get(data.copy_, data.mixed)

    def facts(self) -> Facts:
        data, weights = self.config.data, self.config.model.encoder.weights
        shown = {"pretext": data.pretext}
        if data.pretext in SLOTTED:
            shown["answer"] = f"{data.target}: {self._in_the_set()} of {data.sources} sources"
        if weights:
            shown["encoder_weights"] = weights
        targets: Literal["frozen", "drawn anew in every epoch"]
        targets = "frozen" if data.frozen else "drawn anew in every epoch"
        return Facts(loss=self.config.loss.kind, targets=targets, shown=shown)

    # -- answers and losses ----------------------------------------------------------------------

    def _target(self, batch: Batch) -> Tensor:
        return batch["weights"] if self.config.data.target == "weights" else batch["target"]

    def _answer(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits BN or BK; for contrastive BB cosines over T."""
        if self.config.data.pretext == "contrastive":
            images_BD, views_BD, _ = self._embedded(model, batch)
            return losses.cosine_similarities(images_BD, views_BD) / self.config.loss.temperature
        return model(batch["image"], batch.get("sources")).float()

    def _embedded(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """(BD of each image, mixed or not; BD of each other view; soft labels BB)."""
        image, other, own_B = batch["image"], batch["sources"][:, 0], batch["weights"][:, 0]
        # the neighbour in the batch: any other picture will do
        partner_B = torch.arange(len(image), device=image.device).roll(1)
        if self.config.data.mixed == 2:
            w = own_B[:, None, None, None]
            image = w * image + (1 - w) * image[partner_B]
        # one call: two would see two batch statistics
        images_BD, views_BD = model(torch.cat([image, other])).float().tensor_split(2)
        return images_BD, views_BD, losses.mixing_targets(own_B, partner_B)

    def _contrast(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """(scalar loss, logits BB): of pictures that are not mixed, in both directions."""
        images_BD, views_BD, target_BB = self._embedded(model, batch)
        temperature = self.config.loss.temperature
        logits = losses.cosine_similarities(images_BD, views_BD) / temperature
        if self.config.data.mixed == 1:
            return losses.info_nce(images_BD, views_BD, temperature), logits
        return losses.mixed_info_nce(images_BD, views_BD, target_BB, temperature), logits

    def _loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """(scalar loss, logits)."""
        config = self.config.loss
        if self.config.data.pretext == "contrastive":
            return self._contrast(model, batch)
        logits, target = self._answer(model, batch), self._target(batch)
        match config.kind:
            case "cross_entropy":
                return nn.functional.cross_entropy(logits, target), logits
            case "bce":
                return losses.multi_label(logits, target), logits
            case "soft_label":
                return losses.soft_label(logits, target, config.temperature), logits
            case "margin":
                return losses.margin_loss(-logits, target, config.margin), logits
        answer = self._activated(logits)
        losses.same_shape(answer, target)
        if config.kind == "l1":
            return (answer - target).abs().mean(), logits
        if config.kind == "l2":
            return (answer - target).square().mean(), logits
        return losses.pairwise_distance(answer, target), logits

    def _activated(self, logits: Tensor) -> Tensor:
        kind = self.config.loss.kind
        how = {"bce": "sigmoid", "soft_label": "softmax", "margin": "none"}.get(kind)
        how = how or self.config.loss.activation
        if how == "softmax":
            return losses.smooth_softmax(logits, self.config.loss.temperature or 1.0)
        return logits.sigmoid() if how == "sigmoid" else logits

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        return {"total": self._loss(model, batch)[0]}

    # -- scores ----------------------------------------------------------------------------------

    @torch.no_grad()
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        """Means over the validation set; controls and health on its first samples."""
        sums: dict[str, float] = {}
        seen, controlled = 0, 0
        indices, result = [], {}
        names = self._controls()
        for batch in self._portions(batches):
            part, count = self._scored(model, batch), len(batch["image"])
            # on some: each control is a pass of the net of its own
            if controlled < CONTROLLED:
                part |= {"controlled": part["accuracy"]}
                part |= {f"without_{n}": self._accuracy_without(model, batch, n) for n in names}
                controlled += count
            if not seen:
                # of the first batch only: it costs a copy of the model
                result["train_mode_gap"] = self._gap(model, batch)
            for name, value in part.items():
                sums[name] = sums.get(name, 0.0) + float(value) * count
            seen += count
            indices.append(batch["index"].cpu())
        if not seen:
            raise DataError("expected at least one validation sample, received none")
        on_some = {"controlled", *(f"without_{n}" for n in names)}
        mean = {n: v / (controlled if n in on_some else seen) for n, v in sums.items()}
        whole = mean.pop("controlled")
        chance = self._chance()
        error = math.sqrt(chance * (1 - chance) / max(controlled, 1))
        for name in names:
            gained = whole - chance
            lost = whole - mean[f"without_{name}"]
            # a share of nothing gained is noise over noise
            learned = gained > SIGMAS * error
            mean[f"{name}_share"] = min(1.0, max(0.0, lost / gained)) if learned else 0.0
        return mean | result | self._health(model, torch.cat(indices)[:HEALTH].numpy())

    def _portions(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        """Contrastive: whole groups of `candidates`, so that chance does not depend on batches."""
        group = self.config.data.candidates
        first = True
        for batch in batches:
            if group is None:
                yield batch
                continue
            count = len(batch["image"])
            for start in range(0, count, group):
                # a smaller group is an easier question
                if start + group <= count or (first and start == 0):
                    piece = slice(start, start + group)
                    yield {name: value[piece] for name, value in batch.items()}
            first = False

    def _scored(self, model: nn.Module, batch: Batch) -> dict[str, float]:
        loss, logits = self._loss(model, batch)
        part = {"loss": float(loss), "accuracy": float(self._right(logits, batch).double().mean())}
        if self.config.data.pretext in SLOTTED:
            answer = self._activated(logits)
            part["spread"] = float(answer.std(0, correction=0).mean())
            if self.config.data.target == "weights":
                part["mae"] = float((answer - batch["weights"]).abs().mean())
        elif self.question.classes:
            part["spread"] = float(logits.softmax(1).std(0, correction=0).mean())
        return part

    def _right(self, logits: Tensor, batch: Batch) -> Tensor:
        """bool B."""
        if self.config.data.pretext in SLOTTED:
            return accuracy_of_sets(logits, batch["target"])
        if self.config.data.pretext == "contrastive":
            return logits.argmax(1) == torch.arange(len(logits), device=logits.device)
        return logits.argmax(1) == batch["target"]

    def _controls(self) -> list[str]:
        data = self.config.data
        grey = self.data().train.shape[0] == 1
        return [
            name
            for name in CONTROLS
            if name not in data.without
            and not (name == "seam" and data.pretext != "patchwork")
            # grey has no colour to lose: its share would be 0 by construction
            and not (name == "colour" and grey)
        ]

    def _accuracy_without(self, model: nn.Module, batch: Batch, name: str) -> float:
        less = dict(batch)
        less["image"] = take_away(name, batch["image"], batch.get("box"))
        if "sources" in batch:
            less["sources"] = take_away(name, batch["sources"], batch.get("box"))
        return float(self._right(self._answer(model, less), less).double().mean())

    def _chance(self) -> float:
        data = self.config.data
        if data.pretext in SLOTTED:
            return constant.set_chance(data.sources, self._in_the_set())
        if data.pretext == "patchwork":
            # always the commoner answer
            return max(data.positive, 1 - data.positive)
        return 1 / (data.candidates or self.question.classes)

    def _gap(self, model: nn.Module, batch: Batch) -> float:
        """Loss in eval mode minus loss in train mode on one batch: large = norms not settled."""
        # a copy: a batch in train mode moves the norms' running statistics
        twin = copy.deepcopy(model).train()
        return float(self._loss(model, batch)[0]) - float(self._loss(twin, batch)[0])

    def _plain(self, indices: np.ndarray, device: torch.device) -> Batch:
        base = self.data().validation.base
        # plain pictures: a question's mixture has no class
        seeds = validation_seeds(indices)
        batch = base.finish(base.gather(indices, seeds), seeds)
        return {name: value.to(device) for name, value in batch.items()}

    def _health(self, model: nn.Module, indices: np.ndarray) -> dict[str, float]:
        device = next(model.parameters()).device
        parts, labels = [], []
        for chosen in np.array_split(indices, max(1, len(indices) // 256)):
            batch = self._plain(chosen, device)
            parts.append(model.features(batch["image"]).float())
            if "label" in batch:
                labels.append(batch["label"])
        classes = self.data().validation.classes
        known = torch.cat(labels) if labels and classes is not None else None
        return health(torch.cat(parts), known, len(classes or ()))

    # -- what nothing learned scores ---------------------------------------------------------------

    def floors(self, data: Splits) -> dict[str, Floor]:
        d, c = self.config.data, self.config.loss
        everything = np.arange(len(data.validation))
        # answers alone: no picture is decoded for a floor
        drawn = data.validation.answers(everything, validation_seeds(everything))
        floors = {"chance": Floor("accuracy", self._chance(), "chance")}
        if d.pretext == "contrastive":
            count = min(d.candidates, len(data.validation))
            floors["uniform"] = Floor("loss", math.log(count), "best constant")
            if d.mixed == 2:
                own = drawn.double()
                best = constant.entropy(torch.cat([own, 1 - own], 1)) / len(own)
                floors["best possible"] = Floor("loss", best, "entropy of the targets")
            return floors
        if d.pretext not in SLOTTED:
            value = constant.classes(drawn, self.question.classes)
            floors["best constant"] = Floor("loss", value, "best constant")
            start = math.log(self.question.classes)
            floors["initial loss"] = Floor("loss", start, "initial loss")
            if probed := self._pixel_probe(data):
                floors["pixels"] = Floor("accuracy", probed, "8x8 pixel probe")
            return floors
        target = drawn if d.target == "weights" else (drawn > 0).float()
        value = constant.of_loss(c.kind, target, c.margin)
        floors["best constant"] = Floor("loss", value, "best constant")
        if d.target == "weights":
            floors["constant weights"] = Floor("mae", constant.absolute(drawn), "best constant")
        if c.kind == "soft_label":
            share = target.double() / target.double().sum(1, keepdim=True).clamp(min=1e-12)
            best = constant.entropy(share) / len(share)
            floors["best possible"] = Floor("loss", best, "best possible")
        return floors

    def _pixel_probe(self, data: Splits) -> float | None:
        """Accuracy of a linear classifier on 8x8 thumbnails of the questions."""
        if self.config.data.control != "none":
            return None
        sets = []
        for source in (data.train, data.validation):
            count = min(PROBED, len(source))
            chosen = np.arange(count)
            seeds = validation_seeds(chosen)
            batch = source.gather(chosen, seeds)
            batch = source.finish(batch, seeds)
            sets.append((batch["image"].cpu(), batch["target"].cpu()))
        return pixel_probe(*sets[0], *sets[1], self.question.classes)

    # -- to look at, and to use --------------------------------------------------------------------

    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        logits = self._answer(model, fixed)
        right = self._right(logits, fixed).tolist()
        rows = {"question": strip(fixed["image"])}
        if "sources" in fixed:
            for n in range(fixed["sources"].shape[1]):
                rows[f"source {n + 1}"] = strip(fixed["sources"][:, n])
        lines = [
            f"{i + 1}: {'right' if good else 'WRONG'}, {self._words(logits, fixed, i)}"
            for i, good in enumerate(right)
        ]
        pictures = {"questions": Picture(rows, "; ".join(lines))}
        if self.config.data.pretext == "contrastive":
            return pictures
        if worst := self._worst(model):
            return pictures | {"mistakes": worst}
        none = f"All of the first {self._examined()} validation questions are answered rightly"
        return {"questions": Picture(rows, "; ".join([none, *lines]))}

    def _examined(self) -> int:
        return min(len(self.data().validation), CONTROLLED)

    def _words(self, logits: Tensor, batch: Batch, i: int) -> str:
        kind = self.config.data.pretext
        if kind in SLOTTED:
            answer = ", ".join(f"{v:.2f}" for v in self._activated(logits)[i].tolist())
            return f"said {answer}; is " + ", ".join(
                f"{v:.2g}" for v in self._target(batch)[i].tolist()
            )
        if kind == "contrastive":
            return f"nearest {int(logits[i].argmax()) + 1}"
        return f"said {int(logits[i].argmax())}; is {int(batch['target'][i])}"

    def _worst(self, model: nn.Module, shown: int = 12) -> Picture | None:
        """Of the first validation questions that are answered wrongly those with the largest loss,
        with file names; None if there are none."""
        source = self.data().validation
        device = next(model.parameters()).device
        count = self._examined()
        errors: list[tuple[float, int]] = []
        for chosen in np.array_split(np.arange(count), max(1, count // 128)):
            batch = self._batch(source, chosen, device)
            logits = self._answer(model, batch)
            if self.config.data.pretext in SLOTTED:
                error = (self._activated(logits) - self._target(batch)).abs().mean(1)
            else:
                error = nn.functional.cross_entropy(logits, batch["target"], reduction="none")
            wrong = ~self._right(logits, batch)
            errors += zip(error[wrong].tolist(), chosen[wrong.cpu().numpy()].tolist(), strict=True)
        if not errors:
            return None
        worst = sorted(errors, key=lambda pair: -pair[0])[:shown]
        index = np.array([i for _, i in worst])
        batch = self._batch(source, index, device)
        rows = {"question": strip(batch["image"])}
        if "sources" in batch:
            for n in range(batch["sources"].shape[1]):
                rows[f"source {n + 1}"] = strip(batch["sources"][:, n])
        files = "; ".join(f"{source.names[i]} ({e:.2f})" for e, i in worst)
        wrong_of = f"{len(errors)} of the first {count} questions answered wrongly"
        return Picture(rows, f"{wrong_of}, those of the largest error: {files}")

    @staticmethod
    def _batch(source: PretextSource, chosen: np.ndarray, device: torch.device) -> Batch:
        seeds = validation_seeds(chosen)
        batch = {k: v.to(device) for k, v in source.gather(chosen, seeds).items()}
        return source.finish(batch, seeds)

    @torch.no_grad()
    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """`features.npz` in `out`: `names` and `features` (one row a picture) of a file, folder or
        zip. Raises ConfigError for an option, DataError naming what could not be read."""
        known(options, self.OPTIONS)
        how = self.config.data.recipe(self.basis)
        write_features(_features(model.eval()), next(model.parameters()).device, inputs, out, how)

    def use(self, model: nn.Module, inputs: Tensor, options: Mapping[str, Any]) -> Tensor:
        """Features BD (of one picture D) of pictures CYX or BCYX of the training's shape."""
        known(options, self.OPTIONS)
        return over_pictures(_features(model), inputs, self.basis["shape"])


def _features(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Of image_BCYX the features BD, float32."""
    features: Callable[[Tensor], Tensor] = cast(Any, model).features
    return lambda image: features(image).float()
