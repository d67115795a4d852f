"""Measurements of a net's layers at sampled steps: weights, gradients, updates, activations.

    probe = Probe(model, optimizer)
    for step in range(steps):
        probe.begin(step, inputs)          # next to nothing, unless this step is sampled
        loss = criterion(model(x), y)      # forward hooks read the activations
        loss.backward()
        probe.gradients()                  # optional: before clipping; else read by the optimizer
        optimizer.step()                   # hooks on the optimizer read weights before and after
        probe.batch({"inputs": x, "targets": y})   # optional, any time before the next `begin`
        for event in probe.take():         # where one waits for the device anyway
            print(event)

Nothing is changed and nothing random is drawn: training is the same bit for bit with and without.
Hooks exist only during sampled steps. Which steps those are follows from the step alone, so that
a run that was killed and resumed is measured at the same steps as one that was not. Figures stay
on the device until `take`.

Units: `weight`, `grad`, `update` root mean squares over a layer's own parameters, in the unit of
the weights and of loss a weight; shares from 0 to 1; memory in MB (1e6 bytes).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from famulus.diagnosis.probes.outputs import Guard
from famulus.diagnosis.probes.sample import Sample

FIRST = 128  # steps between two samples after the first powers of two; itself one
AN_OCTAVE = 16  # samples, at most, while the number of steps doubles
PENDING = 64  # samples that wait to be taken; older ones go: they hold memory of the device


def due(step: int, every: int | None = None) -> bool:
    """Whether step number `step` (0 is the first) is sampled.

    0, 1, 2, 4, 8, ... and every 128 steps; past 2,048 at most 16 times while steps double.
    With `every` at each multiple of it, and at the powers of two before; never where it is 0.
    """
    if every == 0:
        return False
    if step & (step - 1) == 0 and (every is None or step <= every):
        return True
    apart = every or max(FIRST, (1 << step.bit_length() - 1) // AN_OCTAVE)
    return step % apart == 0


def _called(work: Callable[[], object]) -> object:
    return work()


class Probe:
    """Measures `model` at sampled steps; `optimizer` may be None, then updates stay unknown, or
    several.

    `every`: steps between samples, None for the schedule of `due`, 0 for none at all. Any module
    will do: called several times (the first call counts), sub-modules called directly, shared
    weights, outputs that are no tensors (left out), autocast. What was frozen or thawed since is
    seen: layers are looked up anew for each sample. `guard` calls what hooks do: what it catches
    does not end a step.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None = None,
        every: int | None = None,
        guard: Guard = _called,
    ) -> None:
        if isinstance(optimizer, torch.optim.Optimizer):
            optimizer = [optimizer]
        self.optimizers = list(optimizer or ())
        self.model, self.every, self.guard = model, every, guard
        self._sample: Sample | None = None  # of this step
        self._pending: list[Sample] = []

    def begin(self, step: int, inputs: int = 0) -> bool:
        """Before a step's forward pass: True if the step is sampled. `inputs`: examples seen."""
        if self._sample:
            self._close()
        if due(step, self.every):
            self._sample = Sample(self.model, self.optimizers, step, inputs, self.guard)
        return self._sample is not None

    def batch(self, tensors: Mapping[str, Any]) -> None:
        """Describes the tensors of this step's batch; what is no tensor of numbers is left out."""
        if self._sample:
            self._sample.batch(tensors)

    def gradients(self) -> None:
        """Reads the gradients now: after the last backward pass, before clipping."""
        if self._sample:
            self._sample.gradients()

    def before_update(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Within a closure, which hooks of the optimizer come too early for: after `backward`."""
        if self._sample:
            self._sample.before_update(optimizer)

    def take(self) -> list[dict[str, Any]]:
        """The events of all samples since the last call, oldest first: one wait for the device."""
        self._close()
        events = [sample.event() for sample in self._pending]
        self._pending = []
        return events

    def close(self) -> None:
        """Removes every hook; what was not taken is forgotten."""
        self._close()
        self._pending = []

    def _close(self) -> None:
        if self._sample:
            self._sample.close()
            self._pending = [*self._pending, self._sample][-PENDING:]
            self._sample = None
