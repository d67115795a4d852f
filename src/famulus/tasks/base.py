"""What a task is: the question that an experiment asks of data, a model and a loss.

A task file has, in this order: docstring (question, shape legend, units, reference), `Config`,
one class. No optimizer, no loop, no logging, no device code.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from famulus.config.errors import ConfigError
from famulus.config.schema import Strict
from famulus.config.scores import Score
from famulus.diagnosis.controls.bench import Floor as Floor
from famulus.diagnosis.controls.bench import SelfTest as SelfTest
from famulus.feed.source import Splits

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Position:
    """Where training stands when a loss is computed."""

    step: int  # optimizer updates done
    inputs: int  # examples seen
    epoch: int  # whole passes over the training split
    seed: int


@dataclass(frozen=True)
class Confusion:
    """How often samples of a class (row) got each answer (column), K x K for K names."""

    names: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Picture:
    """Labelled rows of equal shape: uint8 (H, W, 3) each. Nothing is stretched for display.

    Of a confusion pages show names and counts as a table instead, which grey blocks don't tell.
    """

    rows: Mapping[str, np.ndarray]
    caption: str = ""
    confusion: Confusion | None = None


@dataclass(frozen=True)
class Parent:
    """A finished run that this task stands on, with its weights loaded."""

    run: str
    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]  # {} beside a trained model that holds what it took of them
    built_from: Mapping[str, Any] | None = None  # as `Task.built_from`; None: not stored


@dataclass(frozen=True)
class Changes:
    """What changes during a run, as layers that join it."""

    what: str
    until_inputs: int


@dataclass(frozen=True)
class Facts:
    """What a reader of a run must know of its task. Fields are read by journal, doctor, forecast.

    `shown`: more, as plain values under names of the task's own.
    """

    loss: str = ""  # what `loss` means, with its unit
    loss_scale: Literal["log", ""] = ""  # log: of an error; it may fall below zero
    noisy_targets: bool = False  # in training only: its loss never comes as low as validation's
    targets: Literal["frozen", "drawn anew in every epoch", ""] = ""
    numbers: int = 0  # in one sample, where `loss` is a mean over them; 0: not said
    without_effect: tuple[str, ...] = ()  # settings that this run does not use, dotted
    changes: Changes | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, stated: "Facts | Mapping[str, Any]") -> "Facts":
        """`stated` itself; of a plain mapping, as tasks of 0.1.0 give it, the fields and the rest.

        Raises ConfigError for anything else.
        """
        if isinstance(stated, Facts):
            return stated
        if not isinstance(stated, Mapping):
            raise ConfigError(
                f"facts: expected famulus.api.Facts, received a {type(stated).__name__}"
            )
        own = {f.name for f in fields(cls)} - {"shown"}
        known = {key: value for key, value in stated.items() if key in own}
        if isinstance(changes := known.get("changes"), Mapping):
            known["changes"] = Changes(**changes)
        return cls(**known, shown={k: v for k, v in stated.items() if k not in own})

    def json(self) -> dict[str, Any]:
        """As the `facts` event holds them: what is not said is absent."""
        # an empty field says nothing, and a reader must not take it for a fact
        stated = {f.name: value for f in fields(self) if (value := getattr(self, f.name))}
        if self.changes:
            stated["changes"] = asdict(self.changes)
        return dict(stated.pop("shown", {})) | stated


@dataclass(frozen=True)
class Proposal:
    """Settings that suit data that were looked at; `reasons`: what they follow from, in lines."""

    sections: Mapping[str, Mapping[str, Any]]  # data, model, loss; training but for its budget
    reasons: Sequence[str] = ()


def made_up(*shape: int) -> Tensor:
    """Uniform in 0..1, the same numbers at every call and on every machine."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


class Task(ABC):
    """One question. Built from a filled config; stateless but for what `build` returns."""

    Config: ClassVar[type[Strict]]
    # By name as in `scores`, the first comparable one ranks; `loss` is known: lower is better.
    SCORES: ClassVar[Mapping[str, Score]] = {}
    # Of `apply`: name -> one line that says its values and its default. `known` refuses others.
    OPTIONS: ClassVar[Mapping[str, str]] = {}
    methods: ClassVar[tuple[str, ...]] = ()  # names that `apply_method` knows
    # Trained models that come with the package: model folders by the name of their method.
    shipped: ClassVar[Mapping[str, Path]] = {}
    needs: ClassVar[tuple[str, ...]] = ()  # parents without whose weights `apply` can't be
    RESULT: ClassVar[str] = ""  # name that suits the file that `apply` writes; "" where a folder

    stored: Mapping[str, Any] | None = None  # of a trained model: what `built_from` gave
    # Dotted settings of a new file that measurements found better than the defaults: those can't
    # change, since old runs are named by them.
    START: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, config: Any, parents: Mapping[str, Parent]) -> None:
        self.config = config
        self.parents = parents

    @abstractmethod
    def data(self) -> Splits:
        """Training and validation samples. Cheap: decoding may wait until the first gather."""

    def built_from(self, data: Splits) -> dict[str, Any]:
        """What `build` and `apply` must know of the training data, as plain JSON: shapes, classes,
        scaling. It is stored with a run, so that its model works where the data are not."""
        return {}

    @cached_property
    def basis(self) -> Mapping[str, Any]:
        """`built_from` as it was stored with a trained model, else of the data: what `build` and
        `apply` read in their place."""
        return self.built_from(self.data()) if self.stored is None else self.stored

    @abstractmethod
    def build(self) -> nn.Module:
        """A fresh model; the caller has seeded the random stream. Where `stored` is set, weights
        are loaded into it, and no data are to be opened."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        """Named scalar parts and their weighted sum `total`, still on the device."""

    @abstractmethod
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        """Means over the whole validation set, weighted by sample; the model is in eval mode.

        Each is declared in `SCORES`: one that is not is never ranked, nor watched without a word.
        """

    @abstractmethod
    def floors(self, data: Splits) -> dict[str, Floor]:
        """What nothing-learned scores, in closed form from the actual targets."""

    @abstractmethod
    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        """Pictures of the same fixed validation samples, every time."""

    def example(self, model: nn.Module) -> tuple[Tensor, ...]:
        """Arguments of one call of the trained `model`, made up and always the same: a model folder
        holds them with what comes out. () where it is to hold none. No data are to be opened."""
        shape = self.basis.get("shape")
        return (made_up(2, *shape),) if shape else ()

    @abstractmethod
    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """Use the trained model on a person's own files; `inputs` is `Path()` beside `sample`.

        Raises Unread for files that were left out, when all others are done.
        """

    @classmethod
    def proposal(cls, name: str) -> Proposal:
        """Settings for a person's data, by name or path, which are looked at.

        Raises ConfigError or DataError where the data are not what the task takes.
        """
        raise NotImplementedError(f"{cls.__name__} proposes no settings")

    @classmethod
    def apply_method(cls, method: str, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """As `apply`, by a method that needs no trained model."""
        raise NotImplementedError(f"{cls.__name__} names methods and has none")

    def use(self, model: nn.Module, inputs: Tensor, options: Mapping[str, Any]) -> Tensor:
        """As `apply`, of tensors in the units of the data: one sample or a batch of them."""
        raise ConfigError("apply: this task takes files, not arrays")

    def sample(self, model: nn.Module, count: int, seed: int, **options: Any) -> Tensor:
        """`count` draws from a generative model, the same for the same `seed`."""
        raise ConfigError("sample: this task's models draw nothing")

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Optimizer groups; a group may carry `lr_scale`, a factor on the scheduled rate."""
        return [{"params": [p for p in model.parameters() if p.requires_grad]}]

    def facts(self) -> Facts:
        """What a reader of the results must know."""
        return Facts()

    def conclusions(self, scores: Mapping[str, float], examples: int) -> dict[str, Any]:
        """Facts that follow from scores just measured, with so many examples an update; the newest
        hold. `advice`, a sentence, stands beside the scores."""
        return {}

    def self_tests(self, model: nn.Module, batch: Batch) -> Iterable[SelfTest]:
        """For `famulus check`: causality, adjoint, orientation, ...; `model` is untrained."""
        return ()

    def on_inputs(self, model: nn.Module, at: Position) -> str | None:
        """Called before each step: growth, unfreezing. Its state must live in buffers.

        A few words where something changed: they become a mark on the curve.
        """
        return None
