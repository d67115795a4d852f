"""A fresh net and its optimizer, a step at a time: what short trainings are made of."""

import torch
from torch import Tensor, nn

from famulus.diagnosis.controls.input_use import corrupted
from famulus.feed.feeder import Batch
from famulus.tasks.base import Position, Task
from famulus.training.optim import build_optimizer, clip_gradients, set_rate
from famulus.training.progress import Calendar
from famulus.training.randomness import Streams

CORRUPTED = 777  # stream of the numbers that replace an input


class FreshNet:
    """At the weights that the run starts from; `diagnosis.controls.bench.Net` says what is what."""

    def __init__(self, task: Task, streams: Streams, calendar: Calendar, factor: float) -> None:
        self.task, self.streams, self.calendar = task, streams, calendar
        streams.build()
        self.model: nn.Module = task.build().to(streams.device).train()
        spec = calendar.training.optimizer
        self.optimizer = build_optimizer(spec, task.param_groups(self.model), streams.device)
        self.rate(spec.lr * factor)
        self.at = 0

    def rate(self, rate: float) -> None:
        set_rate(self.optimizer, rate)

    def _position(self, at: int | None) -> Position:
        at = self.at if at is None else at
        inputs = at * self.calendar.per_step
        return Position(at, inputs, inputs // self.calendar.samples, self.streams.seed)

    def parts(
        self, batch: Batch, noise: int = 0, kind: str = "true", at: int | None = None
    ) -> dict[str, Tensor]:
        with corrupted(self.model, kind, noise):
            self.streams.step(noise)
            return self.task.loss(self.model, batch, self._position(at))

    def step(
        self, batch: Batch, noise: int | None = None, kind: str = "true", at: int | None = None
    ) -> dict[str, float]:
        # growth and thawing, as in the loop
        self.task.on_inputs(self.model, self._position(at))
        parts = self.parts(batch, self.at if noise is None else noise, kind, at)
        self.optimizer.zero_grad(set_to_none=True)
        parts["total"].backward()
        clip_gradients(list(self.model.parameters()), self.calendar.training.clip)
        self.optimizer.step()
        self.at += 1
        return {name: float(value.detach()) for name, value in parts.items()}

    @torch.no_grad()
    def judge(self, batch: Batch, kind: str = "true") -> dict[str, float]:
        self.model.eval()
        try:
            with corrupted(self.model, kind, CORRUPTED):
                self.streams.validation()
                parts = self.task.loss(self.model, batch, self._position(None))
        finally:
            self.model.train()
        return {name: float(value) for name, value in parts.items()}
