"""The monitor of a watched training: told of steps and updates, and looking when it is told to."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from famulus.bridges.batch import Batch
from famulus.bridges.monitor import Monitor
from famulus.bridges.watch.step import NOTHING, Tensors
from famulus.bridges.watched import Named
from famulus.diagnosis.controls.bench import Control
from famulus.diagnosis.probes.probe import Probe


class Recorder(Monitor):
    """A monitor that is told of updates by a watch.

    It looks from the moment on that a training's forward pass begins: before that a validation may
    come between.
    """

    lineage: Mapping[str, Any] | None = None  # of the script, for all of its runs
    looks = False  # are this step's tensors wanted?

    def start(self) -> Recorder:
        self._armed = False
        self._tensors = NOTHING
        self._chances: set[str] = set()
        self.rate: float | None = None  # of learning, at the last update
        super().start()
        for hook in self._hooks:
            hook.remove()
        return self

    @property
    def seconds(self) -> float:
        """Since the training began."""
        return self._seconds()

    @property
    def stopped(self) -> bool:
        """Has trouble of its own ended it?"""
        return bool(self._off)

    @property
    def samples(self) -> bool:
        """Is this step measured?"""
        return self._armed and self._is_sampled

    def begin(self) -> None:
        """A training's forward pass is about to begin."""
        if not self._armed and self.steps:  # of the first one the forward pass is over already
            super()._arm()
        self._armed = True
        self.looks = self._is_sampled or self._sampled.keeps_more

    def adopt(self, probe: Probe) -> None:
        """The first step has been measured."""
        self._sampled.adopt(probe, self._guarded)
        self._armed = self._is_sampled = self.looks = True

    def updated(self, optimizer: Any) -> None:
        self._after(optimizer, (), {})

    def record(
        self, parts: Mapping[str, Tensor], seen: Tensors, samples: int, waited: float | None
    ) -> None:
        """A step."""
        self._tensors = seen
        # A trial calls the model again: what the loss takes must be what the model gives.
        again = seen.inputs if seen.answer is not None else None
        if seen.answer is not None:
            self._sampled.answer = seen.answer
        batch = Batch(parts["total"], again, seen.outputs, seen.targets)
        self._guarded(lambda: self._step(parts, batch, waited, samples))
        self._tensors = NOTHING
        if self.steps == 1:  # where a training starts from is of interest by itself
            self._guarded(self._log)

    def validated(self, scores: Mapping[str, float], commonest: float | None) -> None:
        """`commonest`: the share of the commonest class, which a guess without input gets right."""
        if commonest is not None and "accuracy" not in self._chances:
            self._chances.add("accuracy")
            means = "chance, the commonest class"
            self._guarded(
                lambda: self._emit("floor", score="accuracy", value=commonest, means=means)
            )
        self.validate(scores)
        self._lapped = time.perf_counter()

    def pause(self) -> None:
        """A validation begins: its time is not training's."""
        self._guarded(self._log)

    def control(self, control: Control) -> None:
        self._guarded(lambda: self._emit("control", **control.json()))

    def note(self, **facts: Any) -> None:
        self._guarded(lambda: self._emit("facts", **facts))

    def replaced(self, before: Any, after: Any, name: Named) -> None:
        """The script made another optimizer for the same weights."""
        self.optimizers[self.optimizers.index(before)] = after
        self._sampled.replaced(before, after)
        made = f" at {name.at}" if name.at else ""
        self.mark(f"another optimizer of the same weights: {type(after).__name__}{made}")

    def look_away(self) -> None:
        """Takes its hooks off; layers are not looked at any more."""
        self._sampled.close()
        self._armed = self.looks = False

    def release(self) -> None:
        """Lets go of the script's model: it may need the room."""
        self._armed = self.looks = False
        self.model, self.optimizers = nn.Module(), []
        self._sampled.release()

    def _learning_rate(self) -> float:
        return super()._learning_rate() if self.rate is None else self.rate

    def _arm(self) -> None:
        self._armed = self._is_sampled = self.looks = False

    def _complain(self, text: str) -> None:
        say(text)

    def _lineage(self) -> Mapping[str, Any]:
        return self.lineage or super()._lineage()

    def _look(self, batch: Batch) -> None:
        seen = self._tensors
        self._sampled.see(replace(batch, loss=seen.loss, inputs=seen.inputs))


def say(text: str) -> None:
    """One line for the person, beside what the script prints."""
    with contextlib.suppress(OSError, ValueError):  # a script may have closed it
        print(f"famulus: {' '.join(text.split())}", file=sys.stderr, flush=True)
