"""Prior: how predictable are the codes of a picture, and what does a picture drawn from them show?

Shapes: codes B Y X H (H codes a place, K values each, K itself = padding), logits B Y X H K.
Units: `nats` a code (the loss), `bits_per_code`, `nats_per_picture`, `bits_per_dim` (bits of all
codes over the real numbers of a picture; with a first stage that is the codes' rate alone, the
reconstruction's error not counted). `accuracy` means little beside its floor, the unigram's.
Codes come from a finished run of task codes (`codes: RUN@best`), or are the grey levels of the
pictures themselves (data.levels). Source: van den Oord et al. 2016, arXiv 1606.05328.
"""

import math
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from famulus.config.apply_options import known
from famulus.config.errors import ConfigError, DataError, cause_of
from famulus.feed.source import Source, Splits
from famulus.images.arrays import over_pictures
from famulus.images.input_pictures import refuse_unread
from famulus.images.picture import Recipe
from famulus.images.strip import strip
from famulus.tasks.base import (
    Batch,
    Facts,
    Floor,
    Parent,
    Picture,
    Position,
    SelfTest,
    Task,
)
from famulus.tasks.codes.causality import self_test
from famulus.tasks.codes.code_scores import (
    code_nats,
    grey_of_levels,
    unigram,
    unigram_cross_entropy,
)
from famulus.tasks.codes.code_source import (
    Encoded,
    FirstStage,
    Levels,
    code_counts,
    level_codes,
    weights_digest,
)
from famulus.tasks.codes.data import CodedData, batches
from famulus.tasks.codes.letterbox import placed
from famulus.tasks.codes.net import CodedModel, build_coded, load_coded
from famulus.tasks.codes.pixelcnn import PixelCNN
from famulus.tasks.codes.prior_apply import OPTIONS, apply_prior, draws
from famulus.tasks.codes.prior_net import PriorNet
from famulus.tasks.codes.prior_settings import PriorConfig
from famulus.tasks.codes.sampler import Sampling, TooSlow, forecast_s, sample
from famulus.tasks.codes.scores import PRIOR
from famulus.tasks.codes.transformer import Transformer
from famulus.tasks.codes.vqvae import VQVAE, encode_pictures


class Prior(Task):
    Config = PriorConfig
    SCORES = PRIOR
    NETS: ClassVar[dict[str, type[PriorNet]]] = {"pixelcnn": PixelCNN, "transformer": Transformer}
    OPTIONS = OPTIONS
    needs = ("codes",)

    def __init__(self, config: PriorConfig, parents: Mapping[str, Parent]) -> None:
        super().__init__(config, parents)
        self._splits: Splits | None = None
        if (parents.get("codes") is None) == (config.data.name is None):
            raise ConfigError(
                "task prior: expected either codes: RUN@best, or data.name with data.levels"
            )

    # -- what is trained on what -------------------------------------------------------------

    def data(self) -> Splits:
        if self._splits is None:
            data = self.config.data
            if self._stage is not None:
                self._splits = self._encoded(self._stage)
            else:
                pictures = data.picked()
                drawn = data.binarise == "stochastic"
                self._splits = Splits(
                    Levels(pictures.train, data.levels, drawn),
                    Levels(pictures.validation, data.levels, drawn),
                )
        return self._splits

    @cached_property
    def _stage(self) -> VQVAE | None:
        """The first stage, frozen; None: the codes are grey levels."""
        if (parent := self.parents.get("codes")) is None:
            return None
        if parent.config.get("task") != "codes":
            raise ConfigError(
                f"codes: expected a run of task codes, received {parent.run} of task "
                f"{parent.config.get('task')}"
            )
        model = CodedModel.model_validate(parent.config["model"])
        if model.kind != "vqvae":
            raise ConfigError(f"codes: run {parent.run} is a vae: expected model.kind vqvae")
        shape = parent.built_from and parent.built_from.get("shape")
        channels, *sides = shape or next(batches(self._pictures.train, 1))["image"].shape[1:]
        stage = build_coded(model, channels, tuple(sides), parent.config["data"]["scaling"])
        try:
            load_coded(stage, dict(parent.weights))
        except ValueError as error:
            raise ConfigError(f"codes: run {parent.run}: {error}") from None
        if not stage.quantiser.started:
            raise ConfigError(f"codes: run {parent.run} ended before its codebook started")
        return stage

    @cached_property
    def _pictures(self) -> Splits:
        """The first stage's own."""
        return CodedData.model_validate(self.parents["codes"].config["data"]).picked()

    def _encoded(self, stage: VQVAE) -> Splits:
        described = FirstStage(
            lambda batch, device: encode_pictures(
                stage.to(device), batch["image"], batch.get("mask")
            ),
            (*stage.grid, stage.quantiser.per_place),
            stage.quantiser.size,
            weights_digest(self.parents["codes"].weights),
        )
        return Splits(
            Encoded(self._pictures.train, described), Encoded(self._pictures.validation, described)
        )

    def built_from(self, data: Splits) -> dict[str, Any]:
        train = data.train
        classes = list(train.classes or ()) if self._classes(train) else []
        basis = {"shape": list(train.shape), "size": train.size, "classes": classes}
        return basis | train.source.recipe.scale

    def build(self) -> nn.Module:
        basis, settings = self.basis, self.config.model
        *grid, per_place = basis["shape"]
        try:
            own = (
                (settings.first_kernel, settings.kernel)
                if settings.kind == "pixelcnn"
                else (settings.heads, settings.dropout)
            )
            shape = (basis["size"], tuple(grid), per_place, len(basis["classes"]))
            model = self.NETS[settings.kind](*shape, settings.width, settings.layers, *own)
            # Here, before anything is spent: a net that peeks, or is deaf, has a fine curve all the
            # same.
            self_test(model)
        except ValueError as error:
            raise ConfigError(f"model: {error}", cause=cause_of(error)) from None
        return model

    def example(self, model: nn.Module) -> tuple[Tensor, ...]:
        """Codes of two pictures and, of a prior that is told a class, their labels."""
        basis, stream = self.basis, torch.Generator().manual_seed(0)
        codes = torch.randint(basis["size"], (2, *basis["shape"]), generator=stream)
        classes = len(basis["classes"])
        return (codes, torch.tensor([0, classes - 1])) if classes else (codes,)

    def _classes(self, source: Source) -> int:
        if not self.config.data.conditional:
            return 0
        if source.labels is None or source.classes is None:
            raise ConfigError("data.conditional: expected a set with classes, this one has none")
        return len(source.classes)

    # -- loss and scores ---------------------------------------------------------------------

    def _label(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.config.data.conditional else None

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        nats, real = code_nats(model(batch["codes"], self._label(batch)), batch["codes"])
        # a batch of padding alone costs nothing
        mean = nats.sum() / real.sum().clamp(min=1)
        return {"nats": mean, "total": mean}

    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        sums, pictures = None, 0
        for batch in batches:
            codes = batch["codes"]
            logits = model(codes, self._label(batch))
            nats, real = code_nats(logits, codes)
            right = (logits.argmax(-1) == codes) & real
            now = torch.stack([nats.double().sum(), real.sum().double(), right.sum().double()])
            sums = now if sums is None else sums + now
            pictures += len(codes)
        if sums is None:
            raise DataError("expected at least one validation picture, received none")
        nats, count, right = sums.tolist()
        return {"loss": nats / count, "accuracy": right / count} | self._units(
            nats / math.log(2) / count, count / pictures
        )

    def _units(self, bits_per_code: float, codes: float) -> dict[str, float]:
        """The same figure in every unit, for pictures of `codes` real codes on average."""
        bits = bits_per_code * codes
        return {
            "bits_per_code": bits_per_code,
            "nats_per_picture": bits * math.log(2),
            "bits_per_dim": bits / self._dimensions(codes),
        }

    def _dimensions(self, codes: float) -> float:
        """Real numbers of a picture, on average over the validation pictures."""
        if self._stage is None:
            return codes
        if not hasattr(self, "_measured"):
            total = count = 0
            for batch in batches(self.data().validation.source, 256, 512):
                image, mask = batch["image"], batch.get("mask")
                real = image.numel() if mask is None else float(mask.sum()) * image.shape[1]
                total, count = total + real, count + len(image)
            self._measured = total / count
        return self._measured

    def facts(self) -> Facts:
        return Facts(loss="nats a code, padding left out")

    def self_tests(self, model: nn.Module, batch: Batch) -> Iterable[SelfTest]:
        """Flips of codes, and what a sampling will cost."""
        try:
            moved = self_test(model)
            text = f"flips of a code at 3 places moved {moved} predictions, none that it must not"
            yield SelfTest("causality", True, text)
        except ValueError as error:
            yield SelfTest("causality", False, str(error), cause_of(error))
        settings, codes = self.config.model, batch["codes"]
        count = min(settings.samples, len(codes))
        if count == 0:
            return
        label = self._label(batch)
        # samples and completions
        whole = 2 * forecast_s(model, count, None if label is None else label[:count])
        yield SelfTest(
            "sampling",
            whole <= settings.sampling_limit_s,
            f"{count} samples and {count} completions of {model.places * model.per_place:,} codes: "
            f"about {whole:.2g} s, limit {settings.sampling_limit_s:g} s",
            "sampling-too-slow",
            "model.samples: 2, or a coarser grid, or raise model.sampling_limit_s",
        )

    # -- what nothing learned scores -----------------------------------------------------------

    def floors(self, data: Splits) -> dict[str, Floor]:
        size = data.train.size
        train, held_out = (code_counts(s, size) for s in (data.train, data.validation))
        bits = unigram_cross_entropy(train, held_out)
        share = held_out.double() / held_out.sum(1, keepdim=True)
        # the training set's commonest: the held-out one's would be known in advance
        guess = float(share.gather(1, train.argmax(1, keepdim=True)).mean())
        units = self._units(bits, float(held_out.sum()) / len(data.validation))
        return {
            "unigram": Floor("loss", bits * math.log(2), "unigram"),
            "unigram, accuracy": Floor("accuracy", guess, "unigram"),
            "unigram entropy": Floor("bits_per_code", unigram(held_out)[0], "unigram entropy"),
            "initial loss": Floor("loss", math.log(size), "initial loss"),
            **{f"unigram, {k}": Floor(k, v, "unigram") for k, v in units.items()},
        }

    # -- to look at, and to use ------------------------------------------------------------------

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures BCYX in grey ranges of codes; black where there is padding."""
        if self._stage is None:
            return grey_of_levels(codes, self.config.data.levels or 2)
        stage = self._stage.to(codes.device)
        padding = codes == stage.quantiser.size
        raw = stage.decode(codes).float()
        if self.parents["codes"].config.get("loss", {}).get("reconstruction") == "bce":
            # of the first stage's loss: with bce its output is a logit
            raw = torch.sigmoid(raw)
        drawn = stage.scaling.inverse(raw)
        real = (~padding.all(-1))[:, None].float()
        scale = tuple(a // b for a, b in zip(drawn.shape[2:], real.shape[2:], strict=True))
        for axis, times in enumerate(scale):
            # by repeating: a place covers a block of pixels, whole or not at all
            real = real.repeat_interleave(times, 2 + axis)
        return drawn.clamp(0, 1) * real

    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        """Samples, and completions of the fixed pictures' upper halves. Bounded in time."""
        settings = self.config.model
        if settings.samples == 0:
            return {}
        codes, label = fixed["codes"][: settings.samples], self._label(fixed)
        label = None if label is None else label[: settings.samples]
        how = Sampling(0, settings.temperature, settings.top_k, settings.top_p)
        given = codes.clone()
        free = codes[:, codes.shape[1] // 2 :] < model.size  # padding is known: not drawn
        given[:, codes.shape[1] // 2 :][free] = -1
        n, start_s, limit = len(codes), time.monotonic(), settings.sampling_limit_s
        # padding is known, so no code is drawn there
        fresh = torch.full_like(codes, -1).masked_fill(codes == model.size, model.size)
        shown = strip(self.decode(codes))
        try:
            drawn = sample(model, n, how, label, fresh, limit_s=limit)
            left = limit - (time.monotonic() - start_s)
            completed = sample(model, n, how, label, given, limit_s=left)
        except TooSlow as slow:
            text = f"No samples: {slow}; raise model.sampling_limit_s to draw them all the same."
            return {"samples": Picture({"original": shown}, text)}
        rows = {
            "original": shown,
            "lower half drawn": strip(self.decode(completed)),
            "sample": strip(self.decode(drawn)),
        }
        said = (f"{k} {v:g}" for k, v in how.as_dict().items() if v is not None)
        return {"samples": Picture(rows, f"Drawn with {', '.join(said)}.")}

    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """See `tasks.codes.prior_apply`: samples, and completions of a person's pictures."""
        unread: list[str] = []
        known(options, self.OPTIONS)
        pictures = placed(inputs, self._frame(), unread)
        prior = cast(PriorNet, model)
        done = apply_prior(prior, self.decode, self._codes_of, self._names, pictures, out, options)
        refuse_unread(unread, done)

    @torch.no_grad()
    def use(self, model: nn.Module, inputs: Tensor, options: Mapping[str, Any]) -> Tensor:
        """Pictures CYX or BCYX in 0..1 with their lower part drawn anew: option `complete`."""

        def change(images: Tensor) -> Tensor:
            return self._drawn(model, images, options)

        # all at once: each picture's draws follow from its number among all of them
        return over_pictures(change, inputs, self._shape, max(1, len(inputs)))

    @torch.no_grad()
    def sample(self, model: nn.Module, count: int, seed: int, **options: Any) -> Tensor:
        """`count` pictures BCYX in 0..1; options temperature, top_k, top_p, label, batch."""
        asked = {"sample": count, "seed": seed} | options
        return self._drawn(model, None, asked)

    def _drawn(self, model: nn.Module, images: Tensor | None, options: Mapping[str, Any]) -> Tensor:
        codes = draws(cast(PriorNet, model), self._codes_of, self._names, images, options)
        # one by one, as their files are: a batch may round otherwise
        return torch.cat([self.decode(one[None]) for one in codes])

    @property
    def _names(self) -> tuple[str, ...] | None:
        """Classes of a prior that is told one."""
        return tuple(self.basis["classes"]) or None

    @property
    def _shape(self) -> tuple[int, ...]:
        """C Y X of the pictures that it draws."""
        if self._stage is None:
            *sides, channels = self.basis["shape"]
            return (channels, *sides)
        return (self._stage.scaling.mean_C.numel(), *self._stage.sides)

    def _frame(self) -> Recipe:
        """How the run's own pictures became samples."""
        if self._stage is None:
            data = self.config.data
        else:
            data = CodedData.model_validate(self.parents["codes"].config["data"])
        return data.recipe({**self.basis, "shape": self._shape})

    def _codes_of(self, image: Tensor, mask: Tensor, seed: int) -> Tensor:
        """Codes of a picture in that frame, as in training; `seed` is of a stochastic cut."""
        if self._stage is not None:
            return encode_pictures(self._stage.to(image.device), image, mask)
        drawn = self.config.data.binarise == "stochastic"
        return level_codes(image, mask, self.basis["size"], np.array([seed]) if drawn else None)
