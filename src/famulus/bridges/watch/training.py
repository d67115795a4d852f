"""One training: what is seen between two updates of the weights, made a step of a monitor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from famulus.bridges import watched
from famulus.bridges.watch import places
from famulus.bridges.watch.criteria import Criterion
from famulus.bridges.watch.places import Place
from famulus.bridges.watch.recorder import Recorder
from famulus.bridges.watch.step import NOTHING, Call, Loss, samples_in, tensors_of
from famulus.bridges.watch.validation import Validation
from famulus.bridges.watched import Named
from famulus.config.scores import Score
from famulus.diagnosis.probes.passes import has_modes

SCORES = {"accuracy": Score(better="higher")}
FIGURES = ("mean", "std", "min", "max")
BATCHES = 4  # of a validation that are described


class Training:
    """A model, its optimizers and their monitor.

    An update takes all losses since the one before. A step is an update of each optimizer that
    takes turns with the others: all, until one has made two in a row.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.validation = Validation()
        self.loader = 0  # number of the data that are trained on
        self.epochs = 0  # walks over it
        self._walk = self._batches = 0  # the present one, and what it gave
        self._noted = 0  # epochs
        self._updated: list[int] = []  # optimizers, since the last step
        self._turns = {id(one) for one in recorder.optimizers}  # whose updates make a step
        self._losses: list[Loss] = []
        self._names: dict[Place | None, str] = {}
        self._told_inputs = False
        self._validated_on: list[Tensor] = []  # figures of its first batches
        self._whole = False  # is the loss a criterion's value?
        self._summed = False  # over a batch
        self._batch = 0.0  # samples
        self._changes_with_mode = has_modes(recorder.model)
        self._mode: bool | None = None  # of the step before: in training?
        self._left: int | None = None  # the step at which that ended
        self._held_out_modes: set[bool] = set()  # of the present validation

    @property
    def looks(self) -> bool:
        return self.recorder.looks

    @property
    def samples(self) -> bool:
        """Is this step measured?"""
        return self.recorder.samples

    @property
    def title(self) -> str:
        """`Net with Adam`."""
        config = self.recorder.config
        training = config["training"]
        made = training.get("optimizers") or [training["optimizer"]]
        return f"{config['model']['class']} with {' and '.join(one['class'] for one in made)}"

    def summary(self) -> str:
        """One line: which run it is, and how long it was."""
        recorder = self.recorder
        epochs = f", {self.epochs} epochs" if self.epochs > 1 else ""
        size = f"{recorder.steps:,} steps, {recorder.inputs:,} samples{epochs}"
        return f"famulus: {recorder.run.experiment} {recorder.run.id}: {self.title}, {size}"

    def update(self, optimizer: Any, losses: list[Loss], rate: float | None) -> None:
        """After an update by these losses, at this learning rate."""
        if optimizer is self.recorder.optimizers[0]:
            self.recorder.rate = rate
        self.recorder.updated(optimizer)
        if id(optimizer) in self._updated:  # it did not wait for the others: they are not in use
            self._turns = set(self._updated)
            self.record()
        self._updated.append(id(optimizer))
        self._losses += losses
        if self._turns <= set(self._updated):
            self.record()

    def replaced(self, before: Any, after: Any, name: Named) -> None:
        """The script made another optimizer for the same weights."""
        self._turns = (self._turns - {id(before)}) | {id(after)}
        self.recorder.replaced(before, after, name)

    def without_update(self, loss: Loss) -> None:
        """A loss that nobody updates weights by: the monitor counts these."""
        self._losses.append(loss)
        self.record()

    def begins(self) -> None:
        """A training's forward pass is about to begin."""
        self.validated()
        self.recorder.begin()

    @property
    def wants_inputs(self) -> bool:
        """Of validation: its first batches are described."""
        return len(self._validated_on) < BATCHES

    def validate(self, call: Call, criterion: Criterion) -> None:
        if not self.validation:
            self.recorder.pause()
        if call.arguments is not None and self.wants_inputs:
            given = watched.first_tensor([*call.arguments])  # as of training
            if given is not None and given.is_floating_point() and given.dim() > 1:
                self._validated_on.append(described(given))  # ids have no mean
            call.arguments = None
        if call.loader != self.loader or not call.loader:
            self._held_out_modes.add(call.mode)
        name = "loss" if self._whole else criterion.name
        self.validation.add(call.loader, name, criterion)

    def record(self) -> None:
        """What has been seen is a step."""
        losses, self._losses, self._updated = self._losses, [], []
        if not losses:
            return
        calls = [call for loss in losses for call in loss.calls]
        samples = samples_in(losses)
        self._batch = max(self._batch, samples / len(losses))  # the last one may be smaller
        self._whole, self._summed = losses[-1].whole, losses[-1].summed
        waited = None
        for call in calls:
            if call.loader:
                self.loader, waited = call.loader, (waited or 0.0) + call.waited
                self._count_epochs(call.walk)
        if calls:
            self._note_mode(any(call.mode for call in calls))
        seen = tensors_of(losses) if self.looks else NOTHING
        self.recorder.record(self._parts(losses), seen, samples, waited)

    def _note_mode(self, mode: bool) -> None:
        """Of a step; that a model trains in evaluation mode from the start may be meant."""
        if mode:
            self._left = None
        elif self._mode:
            self._left = self.recorder.steps
        self._mode = mode

    def _count_epochs(self, walk: int) -> None:
        """A walk that gives a single batch, as `next(iter(loader))`, is none."""
        self._batches = self._batches + 1 if walk == self._walk else 1
        self._walk = walk
        self.epochs += self._batches == 2

    def validated(self) -> None:
        """Writes down the validation since the last step, if there was one."""
        if not self.validation:
            return
        validation, self.validation = self.validation, Validation()
        self._note_epochs()
        if self._validated_on and not self._told_inputs:
            self._told_inputs = True
            means = torch.stack(self._validated_on).mean(0).tolist()
            self.recorder.note(validation_inputs=dict(zip(FIGURES, means, strict=True)))
        modes, self._held_out_modes = self._held_out_modes, set()
        if modes and self._changes_with_mode:
            self.recorder.note(validation_mode="training" if all(modes) else "evaluation")
        batch = self._batch if self._summed else 1.0
        self.recorder.validated(*validation.scores(batch, self.loader))

    def _note_epochs(self) -> None:
        if self.epochs > self._noted:
            self._noted = self.epochs
            self.recorder.note(epochs=self.epochs)

    def close(self, error: BaseException | None = None) -> None:
        self.record()
        self.validated()
        self._note_epochs()
        if self._left is not None and self._changes_with_mode:
            self.recorder.note(evaluation_since=self._left)
        self.recorder.close(error)

    def release(self) -> None:
        """Lets go of the script's model and data: it may need the room."""
        self.validation = Validation()
        self._losses = []
        self.recorder.release()

    # -- inside

    def _parts(self, losses: list[Loss]) -> dict[str, Tensor]:
        """Each loss by its name in the script, and their sum; of one that comes several times, as
        gradients are accumulated, the mean."""
        if len(losses) == 1:  # as mostly
            return {**losses[0].parts, "total": losses[0].value}
        by_place: dict[Place | None, list[Loss]] = {}
        for loss in losses:
            by_place.setdefault(loss.place, []).append(loss)
        if len(by_place) == 1:
            names = losses[0].parts
            parts = {name: _mean([one.parts[name] for one in losses if name in one.parts])
                     for name in names}  # fmt: skip
            return {**parts, "total": _mean([one.value for one in losses])}
        means = {
            self._name(at): _mean([one.value for one in some]) for at, some in by_place.items()
        }
        device = losses[0].value.device
        return {
            **means,
            "total": torch.stack([m.reshape(()).to(device) for m in means.values()]).sum(),
        }

    def _name(self, place: Place | None) -> str:
        if place not in self._names:
            name, taken = places.loss_named(place) or "loss", {*self._names.values(), "total"}
            free = (f"{name}{n}" if n > 1 else name for n in range(1, len(taken) + 2))
            self._names[place] = next(one for one in free if one not in taken)
        return self._names[place]


def described(values: Tensor) -> Tensor:
    """The figures of a batch, on its device."""
    values = values.detach().float()
    return torch.stack([values.mean(), values.std(correction=0), values.min(), values.max()])


def _mean(values: list[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack([v.reshape(()) for v in values]).mean()
