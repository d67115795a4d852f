"""Where a run stands, as a checkpoint stores it, and when its periodic events are due."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from famulus.config.schema import Every, Training
from famulus.schedule import Place


@dataclass
class Progress:
    """All state of a run beside model and optimizer. Everything else follows from the config."""

    step: int = 0  # optimizer updates done
    inputs: int = 0  # examples seen: the position in the data
    seconds: float = 0.0  # wall time of training so far, over all attempts
    energy: dict[str, Any] | None = None  # {"joules", "of"} of all attempts; None: not known
    lr_factor: float = 1.0  # what plateaus and roll-backs have left of the configured rate
    best: dict[str, Any] | None = None  # {"score", "value", "step"}
    stop: dict[str, Any] | None = None  # counters of early stopping
    plateau: dict[str, Any] | None = None  # counters of the plateau schedule
    scores: dict[str, float] = field(default_factory=dict)  # of the last validation
    recent: list[float] = field(default_factory=list)  # last logged losses, for spikes

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Progress":
        # what is unknown raises: a field of a newer version must not be dropped without a word
        return cls(**state)


@dataclass(frozen=True)
class Calendar:
    """When things are due. Stateless: a period is due when a step crosses a multiple of it."""

    training: Training
    samples: int  # in the training split

    @property
    def per_step(self) -> int:
        """Examples in one optimizer update."""
        return self.training.batch * self.training.accumulate

    @property
    def budget(self) -> int:
        """Examples in all."""
        if self.training.inputs is not None:
            return self.training.inputs
        assert self.training.epochs is not None  # exactly one is set
        return max(1, round(self.training.epochs * self.samples))

    def place(self, inputs: int) -> Place:
        """Where the step that begins at `inputs` stands, for the learning rate."""
        return Place(inputs, self.budget, self.per_step, self.samples)

    def due(self, every: Every | None, at: Progress) -> bool:
        """Whether the step that ended at `at` crossed a multiple of `every`, or ended the run."""
        # The last step is everybody's: a run ends logged, validated, drawn and kept.
        if at.inputs >= self.budget:
            return True
        if every is None:
            return False
        if every.steps is not None:
            return at.step % every.steps == 0
        period = every.in_inputs(self.per_step, self.samples)
        # A batch may step over a multiple of inputs without meeting it.
        return at.inputs // period > (at.inputs - self.per_step) // period

    @property
    def probe_every(self) -> int | None:
        """Steps between two probes; 0: none, None: the schedule of `diagnosis.probes.probe.due`."""
        wanted = self.training.probes
        if isinstance(wanted, bool):
            return None if wanted else 0
        return max(1, round(wanted.in_inputs(self.per_step, self.samples) / self.per_step))

    def steps_to(self, every: Every | None, at: Progress) -> int:
        """Steps from `at` until `every` is due next; at least 1."""
        rest = math.ceil((self.budget - at.inputs) / self.per_step)
        if every is None:
            return max(1, rest)
        if every.steps is not None:
            # by the number of the step, not counted from here: a resumed run meets the same ones
            return max(1, min(rest, every.steps - at.step % every.steps))
        period = every.in_inputs(self.per_step, self.samples)
        rest_of_period = (at.inputs // period + 1) * period - at.inputs
        return max(1, min(rest, math.ceil(rest_of_period / self.per_step)))
