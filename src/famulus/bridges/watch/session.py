"""`with famulus.watch():` Who trains what, found out from what the seams tell.

A training begins with the first update of an optimizer that is in none yet: its model is what the
script has called with these weights. Optimizers whose models were called before that update belong
to the same training (a generator beside its discriminator); one that starts later has a run of its
own. Nothing here outlives the block: `close` puts torch back as it was.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from famulus.bridges.watch import criteria, foreign, places
from famulus.bridges.watch.loaders import Loaders
from famulus.bridges.watch.losses import Losses
from famulus.bridges.watch.models import (
    called_holders,
    fingerprint,
    has_gradients,
    joined,
    model_of,
    smallest,
    weights_in,
    weights_of,
)
from famulus.bridges.watch.optimizers import Waiting
from famulus.bridges.watch.recorder import Recorder, say
from famulus.bridges.watch.script import Enough
from famulus.bridges.watch.seams import Seams
from famulus.bridges.watch.step import Call, Loss, Trained
from famulus.bridges.watch.training import SCORES, Training
from famulus.bridges.watched import Named
from famulus.config.errors import ConfigError
from famulus.diagnosis.controls.trials import TOGETHER, WALL_S
from famulus.diagnosis.history import Finding
from famulus.diagnosis.probes.layers import unwrapped
from famulus.diagnosis.probes.probe import Probe
from famulus.diagnosis.report import finding_lines
from famulus.store import lineage
from famulus.store.run import Run

FORGOTTEN = 20  # losses without any update in a whole script: nobody waits for more of them
MOST_LOSSES = 1024  # that gradients are accumulated of; then it is plain before the end
UNUSED = 2000  # calls of models, after which an optimizer that nobody uses is not waited for
MOST_RUNS = 100
SHORTEST_S = 60.0  # that trial trainings may take after however short a training
BY_STEPS = f"; --controls-steps {TOGETHER} takes as long as they take"
ACTIVE = threading.Lock()  # one watch at a time: torch can be listened to once


def _is_number(loss: Any) -> bool:
    return isinstance(loss, Tensor) and loss.numel() == 1


class Watch:
    """Everything that trains inside the block leaves a run; `findings()` says what ails them.

    store: folder or URL. name: the experiment. settings, why: as of `famulus.Monitor`.
    controls_s, controls_steps: what the trial trainings of all runs may take together, as of
    `famulus.Monitor`; each run has 6,000 steps of them where none are asked for.
    first_steps: of a training, after which `Enough` is raised.
    Raises ConfigError if there is a watch already.
    """

    def __init__(
        self,
        store: str = "runs",
        name: str = "mine",
        *,
        settings: Mapping[str, Any] | None = None,
        why: str = "",
        controls_s: float = WALL_S,
        controls_steps: int | None = None,
        first_steps: int | None = None,
    ) -> None:
        # a script may change its working folder
        local = "://" not in store and "::" not in store
        store = str(Path(store).absolute()) if local else store
        self.store, self.name, self.settings, self.why = store, name, settings, why
        self.controls_s, self.controls_steps = controls_s, controls_steps
        self._steps = controls_steps  # that are left
        self.first_steps = first_steps
        self.trainings: list[Training] = []
        self._open: list[Training] = []
        self._keep_open = False
        self._seams = Seams(self)
        self._process = os.getpid()
        self._waiting = Waiting()
        self._of: dict[int, Training] = {}  # trainings by the id of an optimizer
        self._roots: dict[int, Training] = {}  # and of a module that the script calls
        # By id, while their optimizer is not known; a script may let go of them.
        self._called: weakref.WeakValueDictionary[int, nn.Module] = weakref.WeakValueDictionary()
        self._looked = 0
        self._losses = Losses(self._looks)
        self._loaders = Loaders()
        self._closure: Any = None  # the optimizer that calls one now
        self._made: tuple[Any, list[Loss], float | None] | None = None  # an update, and its rate
        self._updates = 0
        # an optimizer that has made no update yet, and its weights
        self._suspect: tuple[Any, list[tuple]] | None = None
        self._ended: weakref.WeakSet[Any] = weakref.WeakSet()  # optimizers
        self._sought: weakref.WeakSet[Any] = weakref.WeakSet()  # optimizers without one model
        self._said: set[str] = set()
        self._stopped = False  # by trouble of our own
        # A layer's first answers are to be had before anybody knows who is trained.
        self._first: tuple[nn.Module, Any, Probe] | None = None

    def __enter__(self) -> Watch:
        return self.start()

    def start(self) -> Watch:
        """What `with` does; `close` is to be called at the end."""
        if not ACTIVE.acquire(blocking=False):
            raise ConfigError("watch: expected no other watch around this one; leave that first")
        # Here, and once: it asks git, and a script's own warnings are reset by that.
        self._lineage = lineage.collect()
        self._seams.install()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: object) -> None:
        self.close(error)
        for line in [*self.notes(), *self.lines()]:
            print(line)

    def close(self, error: BaseException | None = None) -> None:
        """Puts torch back as it was and ends every run; again is harmless, and so is a child's."""
        if os.getpid() != self._process:  # the runs are the parent's
            return
        if self._seams.installed:
            self._seams.remove()
            ACTIVE.release()
        with contextlib.suppress(Enough):
            self._settle()
        if not self._updates and len(self._losses.pending) >= FORGOTTEN:
            self._guarded(self._nobody_updates)
        error = None if isinstance(error, Enough | SystemExit) else error
        for training in list(self._open):
            self._end(training, error)
        self._forget()

    def notes(self) -> list[str]:
        """What was not seen, a line each."""
        if self._stopped:
            return []
        blind = sum(one.recorder.steps == 0 for one in self.trainings)
        if blind:
            return [f"of {blind} trainings no loss was seen: `backward` of no single number"]
        if self.trainings:
            return []
        if self._losses.seen:
            return [
                f"{self._losses.seen:,} losses were propagated, but no optimizer of torch.optim"
                " made an update: nothing is recorded"
            ]
        return [
            "no training was seen: no loss was propagated in this process and by its first thread"
        ]

    @property
    def runs(self) -> list[Run]:
        return [training.recorder.run for training in self.trainings]

    def findings(self) -> list[Finding]:
        """What ails the trainings, the first one's first."""
        return [f for training in self.trainings for f in training.recorder.findings()]

    def lines(self) -> list[str]:
        """What is to be said, for a terminal: each run with its findings."""
        lines = []
        for training in self.trainings:
            run = training.recorder.run
            if training.recorder.stopped:  # that has been said
                continue
            findings = finding_lines(training.recorder.findings())
            lines += ["", training.summary(), *(findings or [f"{run.id}: no finding"])]
            if why := training.recorder.not_tried:
                more = BY_STEPS if self.controls_steps is None else ""
                lines.append(f"no trial trainings: {why}{more}")
        return lines

    # -- told by the seams: models

    def before_call(self, model: nn.Module, args: tuple, kwargs: dict) -> bool:
        self._settle()
        training = self._roots.get(id(model))
        has_weights = not self._seams.looking or self._note(model)
        if training is None and not has_weights:
            return False
        grad = torch.is_grad_enabled()
        self._losses.resolve(training)
        call = Call(training, trains=grad and model.training, mode=model.training)
        if call.trains:
            training.begins() if training else self._look_first(model)
        self._losses.called(call, self._loaders.take(), (args, kwargs), grad)
        return call.arguments is not None

    def model_called(self, model: nn.Module, output: Any) -> None:
        self._losses.answered(output)

    def criterion_called(self, name: str, args: tuple, kwargs: dict, result: Any) -> None:
        if (found := criteria.read(name, args, kwargs, result)) is not None:
            self._losses.criterion(found)

    def _looks(self, training: Trained | None) -> bool:
        return training.looks if training else self._first is not None

    # -- losses and updates

    def loss_scaled(self, loss: Any, scaled: Any) -> None:
        self._losses.scaled(loss, scaled)

    def backward_called(self, loss: Any) -> None:
        self._settle()
        if isinstance(loss, list | tuple) and all(_is_number(one) for one in loss):
            with torch.no_grad():
                loss = loss[0] if len(loss) == 1 else torch.stack([*loss]).sum()
        if not _is_number(loss):
            return
        foreign.join(self._seams, self)
        self._losses.propagated(loss, first_only=self._closure is not None)
        if self._closure is not None:
            self._inside_closure()
        elif not self._updates and len(self._losses.pending) >= FORGOTTEN:
            self._suspect = self._suspect or self._not_updated_yet()
            enough = self.first_steps is not None and len(self._losses.pending) >= self.first_steps
            if enough or len(self._losses.pending) >= MOST_LOSSES:
                self._nobody_updates()
            if enough:
                raise Enough("losses without any update")

    def optimizer_built(self, optimizer: Any) -> None:
        self._settle()
        self._waiting.add(optimizer, places.own_line())
        self._seams.looking, self._looked = True, 0

    def before_update(self, optimizer: Any, closure: bool) -> None:
        self._settle()
        # Lightning passes a closure to every update, also where the gradients are there already.
        self._closure = optimizer if closure and not self._losses.pending else None
        if self._closure is None:
            if id(optimizer) not in self._of:
                self._begin(optimizer)
            if closure and (training := self._of.get(id(optimizer))):
                training.recorder.before_update(optimizer)

    def after_update(self, optimizer: Any) -> None:
        self._updates, self._suspect = self._updates + 1, None
        self._closure = None
        # A schedule may change the rate before anything else is heard.
        rate = optimizer.param_groups[0].get("lr")
        self._made = optimizer, self._losses.take(), None if rate is None else float(rate)

    def _settle(self) -> None:
        """Records the last update: not while optimizer and model call the hooks of a sample, which
        are taken away by it."""
        if self._made is None:
            return
        (optimizer, losses, rate), self._made = self._made, None
        training = self._of.get(id(optimizer))
        if training is None:
            return
        training.update(optimizer, losses, rate)
        steps = training.recorder.steps
        if self.first_steps is not None and steps >= self.first_steps:
            raise Enough(f"{steps} steps")

    # -- data

    def loader_walked(self, loader: Any, walk: Any) -> None:
        self._settle()
        self._loaders.walked(loader, walk)

    def batch_fetched(self, walk: Any, batch: Any, seconds: float) -> None:
        self._settle()
        self._loaders.fetched(walk, batch, seconds)

    def trouble(self, error: Exception) -> None:
        """Of our own: the script goes on alone."""
        self._seams.active, self._stopped = False, True
        self._forget()
        what = f"{type(error).__name__}: {error}"
        say(f"watching stops, the script goes on: {what}")
        for training in self._open:
            with contextlib.suppress(Exception):
                training.recorder.mark(f"watching stopped: {what}")
                training.recorder.look_away()

    # -- inside: updates

    def _inside_closure(self) -> None:
        """Gradients are there, and the update is not made."""
        optimizer = self._closure
        if id(optimizer) not in self._of:
            self._begin(optimizer)
        if training := self._of.get(id(optimizer)):
            training.recorder.before_update(optimizer)

    def _not_updated_yet(self) -> tuple[Any, list[tuple]] | None:
        each = (one for one in [*self._waiting.alive(), *self._of_open()] if has_gradients(one))
        return next(((one, fingerprint(one)) for one in each), None)

    def _of_open(self) -> list[Any]:
        return [one for training in self._open for one in training.recorder.optimizers]

    def _nobody_updates(self) -> None:
        """Losses enough, and no weight has changed: the forgotten update is what is to be said."""
        losses = self._losses.take()
        if self._suspect is None:
            return
        (optimizer, before), self._suspect = self._suspect, None
        if fingerprint(optimizer) != before:
            return  # somebody does, whom no hook of torch reaches
        if id(optimizer) not in self._of:
            self._begin(optimizer)
        for training in self._open[:1]:
            for loss in losses:
                training.without_update(loss)

    # -- inside: who trains what

    def _note(self, model: nn.Module) -> bool:
        """Notes what is called while it is not known who trains it; whether it has weights."""
        self._looked += 1
        if self._looked > UNUSED:
            self._seams.looking = False
        if next(nn.Module.parameters(model), None) is None:
            return False
        self._called[id(model)] = model
        return True

    def _look_first(self, model: nn.Module) -> None:
        """Measures the very first step, if it is plain who trains this model."""
        if self._first is not None:
            return
        trainers = self._waiting.trainers(model)
        if len(trainers) == 1:
            weights = weights_of(trainers[0])
            if weights <= weights_in(model):
                whole: nn.Module | None = model
            elif trainers[0] in self._sought:  # a search through all objects, once
                return
            else:
                self._sought.add(trainers[0])
                whole = smallest(weights)
            if whole is not None:
                probe = Probe(whole, trainers, guard=self._guarded)
                probe.begin(0)
                self._first = whole, trainers[0], probe

    def _guarded(self, work: Callable[[], object]) -> object:
        try:
            return work()
        except Exception as error:
            self.trouble(error)
            return None

    def _begin(self, optimizer: Any) -> None:
        """The first update of an optimizer that is in no training yet."""
        if self._replaces(optimizer):
            return
        if len(self.trainings) >= MOST_RUNS:
            self._once(f"{MOST_RUNS} trainings are recorded, later ones are not")
            return
        self._keep_open |= optimizer in self._ended  # it comes back: they take turns
        if not self._keep_open:
            for training in list(self._open):
                self._end(training)
        called = list(self._called.values())
        group = self._waiting.group(optimizer, called)
        names = {id(o): self._waiting.named(o) for o in group}
        model_names = [self._waiting.model_name(o) for o in group]
        model = joined([model_of(weights_of(o), called) for o in group], model_names)
        if model_names[0] and len(group) == 1:
            names[id(model)] = Named(model_names[0])
        options: dict[str, Any] = {"settings": self.settings, "why": self.why, "names": names}
        options["scores"] = SCORES
        options |= {"controls_s": self.controls_s, "controls_steps": self._steps}
        recorder = Recorder(model, group, self.store, self.name, **options)
        recorder.lineage = self._lineage
        recorder.start()
        recorder.ended_early = self.first_steps is not None
        if self._first is not None:
            first_model, first_optimizer, probe = self._first
            if first_model is model and [first_optimizer] == group:
                recorder.adopt(probe)
            else:
                probe.close()
            self._first = None
        training = Training(recorder)
        if control := self._waiting.slip(group, called):
            recorder.control(control)
        if unwrapped(model)[1]:
            self._once("the model is compiled: of its layers only weights and gradients are seen")
            recorder.mark("compiled: of the layers only weights and gradients are seen")
        self.trainings.append(training)
        self._open.append(training)
        for one in group:
            self._of[id(one)] = training
            self._waiting.remove(one)
        weights = set[int]().union(*map(weights_of, group))
        for root in called_holders(weights, called) or called or [model]:
            self._roots[id(root)] = training
            self._seams.roots[id(root)] = root
        self._called.clear()
        self._losses.belong_to(training)
        self._seams.looking = bool(self._waiting.alive())

    def _replaces(self, optimizer: Any) -> bool:
        """Another optimizer of the same weights goes on with their training."""
        weights = weights_of(optimizer)
        for training in self._open:
            for before in training.recorder.optimizers:
                if weights_of(before) == weights:
                    self._of.pop(id(before), None)
                    self._of[id(optimizer)] = training
                    training.replaced(before, optimizer, self._waiting.named(optimizer))
                    self._waiting.remove(optimizer)
                    return True
        return False

    def _end(self, training: Training, error: BaseException | None = None) -> None:
        """Its last words; trial trainings of all runs share one budget."""
        recorder = training.recorder
        self._open.remove(training)
        if self._steps is None:  # a short script is not made a long one
            recorder.budget.seconds = min(self.controls_s, max(SHORTEST_S, recorder.seconds))
        else:
            recorder.budget.steps = self._steps
        training.close(error)
        self.controls_s = max(0.0, self.controls_s - recorder.budget.took)
        if self._steps is not None:
            self._steps -= recorder.budget.spent
        for optimizer in recorder.optimizers:
            self._of.pop(id(optimizer), None)
            with contextlib.suppress(TypeError):  # what can't be referred to weakly
                self._ended.add(optimizer)
        for key in [k for k, owner in self._roots.items() if owner is training]:
            del self._roots[key]
            self._seams.roots.pop(key, None)
        training.release()

    def _forget(self) -> None:
        """Lets go of everything that is the script's."""
        if self._first is not None:
            self._first[2].close()
        self._made = self._closure = None
        self._loaders.forget()
        self._losses.forget()
        self._suspect = None
        self._first = None
        self._called.clear()
        self._waiting.clear()

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            say(text)
