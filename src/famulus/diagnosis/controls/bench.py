"""What a control is handed (a `Bench`), how it declares itself (`Check`), what it says (`Control`).

A bench holds one cell on one device: fresh nets, its batches, short trainings. What it is made of
(tasks, optimizer, random streams) lies above this package: `famulus.launch.trial.Trial` is one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from famulus.config.schema import Training
from famulus.diagnosis.remedy import Change, Owner
from famulus.feed.feeder import Batch
from famulus.feed.source import Splits

LEAST = 15  # steps below which a short training says nothing


@dataclass(frozen=True)
class Control:
    """What one control found. `verdict`: ok | note | warning | failed | skipped."""

    name: str
    verdict: str
    text: str  # a sentence with figures
    remedy: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    cause: str = ""  # name from the list of causes, where it failed
    changes: tuple[Change, ...] = ()  # settings that the remedy names

    def json(self) -> dict[str, Any]:
        return asdict(self)

    def event(self) -> dict[str, Any]:
        return {"kind": "control", **self.json()}


@dataclass(frozen=True)
class Fit:
    """A short training on one frozen batch: losses in train mode, the last one in eval mode too."""

    first: float
    last: float
    judged: float  # in eval mode, after the last step
    steps: int
    other: float | None = None  # in train mode, under other random numbers

    def gone(self, best: float) -> float:
        """Share of the way from the first loss to `best`."""
        return (self.first - self.last) / max(self.first - best, 1e-12)


@dataclass(frozen=True)
class Floor:
    """What a net that has learned nothing scores, from the actual targets."""

    score: str  # name as in `scores`
    value: float
    means: str  # "best constant", "chance", "initial loss", ...: see diagnosis/learning.py


@dataclass(frozen=True)
class SelfTest:
    """What must hold of a task's own parts (an operator, an order), tried out."""

    name: str
    passed: bool
    text: str  # a sentence with figures
    cause: str = ""  # name from the list of causes, where it did not pass
    remedy: str = ""


class Net(Protocol):
    """A fresh net and its optimizer, at the weights that the run starts from.

    Of a loss, `noise` numbers the random numbers and `at` is the step that the task is told of
    (None: the net's own); `kind` is what the net is called with (`input_use.corrupted`).
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    at: int  # updates done

    def rate(self, rate: float) -> None:
        """Sets the learning rate."""

    def parts(
        self, batch: Batch, noise: int = 0, kind: str = "true", at: int | None = None
    ) -> dict[str, Tensor]:
        """The loss and its parts, in their graph."""

    def step(
        self, batch: Batch, noise: int | None = None, kind: str = "true", at: int | None = None
    ) -> dict[str, float]:
        """One update; the loss before it."""

    def judge(self, batch: Batch, kind: str = "true") -> dict[str, float]:
        """The loss in eval mode, under validation's numbers."""


class Bench(Protocol):
    """One cell on one device."""

    device: torch.device
    slug: str  # of the cell
    cells: int  # of the experiment
    owner: Owner  # of the remedies
    training: Training
    data: Splits
    frozen: Batch  # a few samples of training, to be learned by heart
    held: Batch  # held-out samples that short trainings are judged by
    floors: Mapping[str, Floor]
    best: float  # the least possible loss where the task states it, else 0
    part: str  # of the loss: the one that is judged
    changes: str  # what joins the net or leaves it during the run; empty: nothing
    step_s: float  # seconds of an update with the run's own batch
    small_s: float  # with the frozen batch
    quick: bool  # whether short trainings can afford the run's own batch
    overfit_steps: int  # that the frozen batch was given; further fits take as many; 0: none yet
    suggestion: float | None  # a rate, by the range test; None: not run, or nothing fell

    def net(self, factor: float = 1.0) -> Net:
        """A fresh one, with `factor` on its rate."""

    def seconds(self, net: Net, batch: Batch) -> float:
        """Of an update: the least of three, where one does not take more than a second."""

    def fed(self, count: int) -> Iterator[Batch]:
        """The first batches of the run."""

    def fit(
        self, kind: str, factor: float, steps: int, *, fresh: bool = False, noisy: bool = False
    ) -> Fit:
        """Trains on the frozen batch. `fresh` loads its samples anew at each step, as every epoch
        would; `noisy` draws the net's own noise anew."""

    def reloaded(self, epoch: int) -> Batch:
        """The frozen batch's samples with the seeds of an epoch."""

    def scores(self, model: nn.Module, noise: int | None = None) -> dict[str, float]:
        """The task's of `held`, under the random numbers of validation or of step `noise`."""

    def self_tests(self, model: nn.Module) -> Iterable[SelfTest]:
        """The task's own, with an untrained net."""

    def summed_rate(self) -> tuple[float, int]:
        """The learning rate summed over all updates of the run, and their number."""

    def forecast(self) -> tuple[str, dict[str, float]]:
        """What the run will cost, in words and in figures."""

    def room(self) -> int | None:
        """Bytes that are left on the device; None where nobody tells."""

    def wait(self) -> None:
        """Until the device has done what it was asked."""

    def anew(self) -> Self:
        """The same cell with its task made anew, as a resumed process has it."""

    def on_cpu(self) -> Self:
        """Free answers may leave a loss's range, and a GPU does not survive that."""


Seconds = Callable[[Bench], float]


def updates(count: float) -> Seconds:
    """The time of so many, with the run's own batch."""
    return lambda bench: count * bench.step_s


def small_updates(count: float) -> Seconds:
    """The time of so many, with the frozen batch."""
    return lambda bench: count * bench.small_s


@dataclass(frozen=True)
class Check:
    """A control by name. `wanted`, `least`: seconds that it would like and must have.

    `run(bench, limit_s)` measures for about `limit_s` seconds and says what came of it.
    """

    name: str
    run: Callable[[Bench, float], Iterable[Control]]
    wanted: Seconds
    least: Seconds = lambda bench: 0.0
