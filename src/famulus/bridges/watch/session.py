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
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import RandomSampler, SequentialSampler

from famulus.bridges import watched
from famulus.bridges.watch import criteria, foreign, places
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
from famulus.bridges.watch.places import Place
from famulus.bridges.watch.script import Enough
from famulus.bridges.watch.seams import Seams
from famulus.bridges.watch.training import SCORES, Call, Loss, Recorder, Training, say
from famulus.bridges.watched import Named
from famulus.config.errors import ConfigError
from famulus.diagnosis.controls.bench import Control
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
MOST_CALLS = 10_000  # of a model for one loss: a recurrent cell is called for each place
MOST_LOOKED_AT = 4  # losses of one update whose graphs are kept: a script may never propagate them
ACTIVE = threading.Lock()  # one watch at a time: torch can be listened to once


@dataclass(slots=True)
class Fetched:
    """A batch of a DataLoader, and how long it was waited for."""

    data: int
    walk: int
    batch: Any
    seconds: float


def reference(thing: Any) -> Callable[[], Any]:
    """Weak where that can be: a script's data are its own."""
    try:
        return weakref.ref(thing)
    except TypeError:  # a list
        return lambda: thing


class Watch:
    """Everything that trains inside the block leaves a run; `findings()` says what ails them.

    store: folder or URL. name: the experiment. settings, why: as of `famulus.Monitor`.
    controls_s, controls_steps: what the trial trainings of all runs may take together.
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
        controls_s: float = 30.0,
        controls_steps: int | None = None,
        first_steps: int | None = None,
    ) -> None:
        # a script may change its working folder
        local = "://" not in store and "::" not in store
        store = str(Path(store).absolute()) if local else store
        self.store, self.name, self.settings, self.why = store, name, settings, why
        self.controls_s, self.controls_steps = controls_s, controls_steps
        self.first_steps = first_steps
        self.trainings: list[Training] = []
        self.losses_seen = 0
        self._open: list[Training] = []
        self._keep_open = False
        self._seams = Seams(self)
        self._process = os.getpid()
        self._built: dict[int, tuple[weakref.ref, Place | None]] = {}  # optimizers, and where
        self._of: dict[int, Training] = {}  # trainings by the id of an optimizer
        self._roots: dict[int, Training] = {}  # and of a module that the script calls
        # By id, while their optimizer is not known; a script may let go of them.
        self._called: weakref.WeakValueDictionary[int, nn.Module] = weakref.WeakValueDictionary()
        self._looked = 0
        self._calls: list[Call] = []  # with gradients, since the last backward
        self._latest: Call | None = None  # of any kind
        self._losses: list[Loss] = []  # since the last update
        self._scaled: tuple[Any, Any] | None = None  # of a GradScaler: what came, what went in
        self._whole: dict[Place | None, bool] = {}  # is the loss a criterion's value alone?
        self._fetched: Fetched | None = None  # the last batch, for no model yet
        # (number of the data, number of the walk) by iterator
        self._walks: weakref.WeakKeyDictionary[Any, tuple[int, int]] = weakref.WeakKeyDictionary()
        self._data: dict[int, Callable[[], Any]] = {}
        self._walked = 0
        self._closure: Any = None  # the optimizer that calls one now
        self._made: tuple[Any, list[Loss], float | None] | None = None  # an update, and its rate
        self._updates = 0
        # an optimizer that has made no update yet, and its weights
        self._suspect: tuple[Any, list[tuple]] | None = None
        self._ended: weakref.WeakSet[Any] = weakref.WeakSet()  # optimizers
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
        if not self._updates and len(self._losses) >= FORGOTTEN:
            self._guarded(self._nobody_updates)
        error = None if isinstance(error, Enough | SystemExit) else error
        for training in list(self._open):
            self._end(training, error)
        self._forget()

    def notes(self) -> list[str]:
        """What was not seen, a line each."""
        if self.trainings or self._stopped:
            return []
        if self.losses_seen:
            return [
                f"{self.losses_seen:,} losses were propagated, but no optimizer of torch.optim made"
                " an update: nothing is recorded"
            ]
        return ["no training was seen: no loss was propagated in this process"]

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
        return lines

    # -- told by the seams: models

    def before_call(self, model: nn.Module, args: tuple, kwargs: dict) -> None:
        self._settle()
        training = self._roots.get(id(model))
        has_weights = not self._seams.looking or self._note(model)
        if training is None and not has_weights:
            return
        grad = torch.is_grad_enabled()
        if self._calls and training and not self._calls[0].training:
            # calls of a model that nobody trains are no part of a training
            self._calls = [c for c in self._calls if c.training]
        if self._calls and not self._calls[-1].trains:  # those before it are all of training
            self._as_validation(but=self._calls[:-1])
        latest, call = self._latest, Call(training, trains=grad and model.training)
        self._latest = call
        if training and call.trains:
            training.begins()
        if training is None and call.trains:
            self._look_first(model)
        if self._fetched is not None:
            fetched, self._fetched = self._fetched, None
            call.loader, call.walk, call.waited = fetched.data, fetched.walk, fetched.seconds
            call.samples, call.batch = watched.count_of(fetched.batch), fetched.batch
        else:
            if latest is not None and not (latest.trains or call.trains):
                call.loader = latest.loader  # one that fetches a batch ahead
            if not self._calls:
                call.samples = watched.count_of(args, kwargs)
        looks = training.looks if training else self._first is not None
        if grad and looks and not self._calls:
            call.arguments = (args, kwargs)
        else:
            call.batch = None
        if training and not call.trains and training.wants_inputs:
            call.arguments = (args, kwargs)
        if grad:
            self._calls.append(call)
            del self._calls[:-MOST_CALLS]

    def model_called(self, model: nn.Module, output: Any) -> None:
        if self._latest is not None and self._latest.arguments is not None:
            self._latest.output = output

    def criterion_called(self, name: str, args: tuple, kwargs: dict, result: Any) -> None:
        found = criteria.read(name, args, kwargs, result)
        if found is None or self._latest is None:
            return
        if result.requires_grad:
            if self._calls:
                call = self._calls[-1]
                whole = self._looks_at_another()
                call.criteria.append(found if whole else found.light(answers=not call.trains))
        elif not self._latest.trains:
            self._latest.validate(found)

    # -- losses and updates

    def loss_scaled(self, loss: Any, scaled: Any) -> None:
        self._scaled = scaled, loss

    def backward_called(self, loss: Any) -> None:
        self._settle()
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            return
        self.losses_seen += 1
        foreign.join(self._seams, self)
        if self._scaled is not None and self._scaled[0] is loss:
            loss = self._scaled[1]
        self._scaled = None
        known = [c for c in self._calls if c.training] or self._calls
        calls = [c for c in known if c.trains] or known[-1:]
        self._as_validation(but=calls)
        self._calls = []
        seen = self._loss(loss, calls)
        if seen.has_tensors:
            for before in self._losses:  # one of them is looked at: the others would take room
                before.drop_tensors()
        if self._closure is None or not self._losses:  # of a closure's calls the first one counts
            self._losses.append(seen)
        if self._closure is not None:
            self._inside_closure()
        elif not self._updates and len(self._losses) >= FORGOTTEN:
            self._suspect = self._suspect or self._not_updated_yet()
            if len(self._losses) >= MOST_LOSSES:
                self._nobody_updates()

    def optimizer_built(self, optimizer: Any) -> None:
        self._settle()
        self._built[id(optimizer)] = weakref.ref(optimizer), places.own_line()
        self._seams.looking, self._looked = True, 0

    def before_update(self, optimizer: Any, closure: bool) -> None:
        self._settle()
        # Lightning passes a closure to every update, also where the gradients are there already.
        self._closure = optimizer if closure and not self._losses else None
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
        self._made = optimizer, self._losses, None if rate is None else float(rate)
        self._losses = []

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
        self._walk(loader, walk)

    def batch_fetched(self, walk: Any, batch: Any, seconds: float) -> None:
        self._settle()
        if walk not in self._walks:  # of a library's own loader
            self._walk(None, walk)
        before = self._fetched.seconds if self._fetched else 0.0
        self._fetched = Fetched(*self._walks[walk], batch, before + seconds)

    def _walk(self, loader: Any, walk: Any) -> None:
        """Loaders of the same data are one, but for those that choose some of it."""
        self._walked += 1
        sampler = getattr(loader, "sampler", None)
        chooses = not isinstance(sampler, RandomSampler | SequentialSampler | None)
        data = sampler if chooses else getattr(walk, "_dataset", walk)
        known = next((n for n, one in self._data.items() if one() is data), None)
        if known is None:
            known = self._walked
            self._data[known] = reference(data)
        self._walks[walk] = known, self._walked

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

    # -- inside: losses

    def _loss(self, loss: Tensor, calls: list[Call]) -> Loss:
        place = places.own_line(4) or places.caller(4)
        known = [c for call in calls for c in call.criteria]
        training = calls[0].training if calls else None
        looks = training.looks if training else self._first is not None
        if looks or place not in self._whole:
            main = criteria.unscaled(loss, known)
            self._whole[place] = main is not None
        else:
            main = known[-1] if known and self._whole[place] else None
        value = loss if main is None else main.result
        seen = Loss(place, value.detach(), calls, whole=main is not None)
        seen.summed = any(c.summed for c in known)
        if main is None:
            seen.parts = {c.name: c.result.detach() for c in known}
        if looks:
            seen.graph, seen.criterion = value, main or next(iter(known), None)
        for call in calls:
            call.criteria = []
        return seen

    def _looks_at_another(self) -> bool:
        """Are a loss's tensors wanted, and are few of them held yet?"""
        training = self._calls[0].training
        if not (training.looks if training else self._first is not None):
            return False
        return max(len(self._calls), len(self._calls[-1].criteria)) < MOST_LOOKED_AT

    def _as_validation(self, but: list[Call]) -> None:
        """Calls that no gradient was asked of after all."""
        kept = {id(call) for call in but}
        for call in self._calls:
            if id(call) not in kept:
                for criterion in call.criteria:
                    call.validate(criterion)
        self._calls = [call for call in self._calls if id(call) in kept]

    def _inside_closure(self) -> None:
        """Gradients are there, and the update is not made."""
        optimizer = self._closure
        if id(optimizer) not in self._of:
            self._begin(optimizer)
        if training := self._of.get(id(optimizer)):
            training.recorder.before_update(optimizer)

    def _not_updated_yet(self) -> tuple[Any, list[tuple]] | None:
        known = [*(ref() for ref, _ in self._built.values()), *self._of_open()]
        each = (one for one in known if one is not None and has_gradients(one))
        return next(((one, fingerprint(one)) for one in each), None)

    def _of_open(self) -> list[Any]:
        return [one for training in self._open for one in training.recorder.optimizers]

    def _nobody_updates(self) -> None:
        """Losses enough, and no weight has changed: the forgotten update is what is to be said."""
        losses, self._losses = self._losses, []
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
        held = weights_in(model)
        alive = [o for ref, _ in self._built.values() if (o := ref()) is not None]
        trainers = [o for o in alive if weights_of(o) & held]
        if len(trainers) == 1:
            whole = model if weights_of(trainers[0]) <= held else smallest(weights_of(trainers[0]))
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
        group = self._group(optimizer, called)
        names = {id(o): self._named(o) for o in group}
        models = [model_of(weights_of(o), called) for o in group]
        called_there = [self._model_name(o) for o in group]
        model = joined(models, called_there)
        if called_there[0] and len(group) == 1:
            names[id(model)] = Named(called_there[0])
        options: dict[str, Any] = {"settings": self.settings, "why": self.why, "names": names}
        options["scores"] = SCORES
        options |= {"controls_s": self.controls_s, "controls_steps": self.controls_steps}
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
        if control := self._same_weights(group, called):
            recorder.control(control)
        if unwrapped(model)[1]:
            self._once("the model is compiled: of its layers only weights and gradients are seen")
            recorder.mark("compiled: of the layers only weights and gradients are seen")
        self.trainings.append(training)
        self._open.append(training)
        for one in group:
            self._of[id(one)] = training
            self._built.pop(id(one), None)
        weights = set[int]().union(*map(weights_of, group))
        for root in called_holders(weights, called) or called or [model]:
            self._roots[id(root)] = training
            self._seams.roots[id(root)] = root
        self._called.clear()
        for loss in self._losses:  # heard before anybody knew whose they are
            for call in loss.calls:
                call.training = training
        self._seams.looking = any(ref() is not None for ref, _ in self._built.values())

    def _replaces(self, optimizer: Any) -> bool:
        """Another optimizer of the same weights goes on with their training."""
        weights = weights_of(optimizer)
        for training in self._open:
            for before in training.recorder.optimizers:
                if weights_of(before) == weights:
                    self._of.pop(id(before), None)
                    self._of[id(optimizer)] = training
                    training.replaced(before, optimizer, self._named(optimizer))
                    self._built.pop(id(optimizer), None)
                    return True
        return False

    def _group(self, first: Any, called: list[nn.Module]) -> list[Any]:
        """`first` and those of whose weights a model was called as well, as they were built."""
        group = [first]
        for ref, _ in self._built.values():
            other = ref()
            if other is None or other is first:
                continue
            if called_holders(weights_of(other), called):
                group.append(other)
        order = {key: n for n, key in enumerate(self._built)}
        return sorted(group, key=lambda o: order.get(id(o), -1))

    def _same_weights(self, group: list[Any], called: list[nn.Module]) -> Control | None:
        """Two optimizers of the very same weights, beside a model that none holds: a slip."""
        held = set[int]().union(*map(weights_of, group))
        left = [
            m
            for m in called
            if not weights_in(m) & held and any(p.requires_grad for p in m.parameters())
        ]
        pairs = ((a, b) for n, a in enumerate(group) for b in group[n + 1 :])
        same = next((pair for pair in pairs if weights_of(pair[0]) == weights_of(pair[1])), None)
        if same is None or not left:
            return None
        names = [self._named(one).variable or type(one).__name__ for one in same]
        kind = type(left[0]).__name__
        _, place = self._built.get(id(same[1]), (None, None))
        model = places.made_as(place, kind) or kind
        return Control(
            "optimizers",
            "failed",
            f"{names[0]} and {names[1]} hold the same weights, and no optimizer holds those of"
            f" {model}, which is called in training",
            f"{names[1]} = {type(same[1]).__name__}({model}.parameters(), ...) at {place}",
            {},
            "weights-do-not-move",
        )

    def _named(self, optimizer: Any) -> Named:
        ref, place = self._built.get(id(optimizer), (None, None))
        if ref is None or ref() is not optimizer or place is None:
            return Named()
        return Named(places.assigned_to(place) or "", str(place))

    def _model_name(self, optimizer: Any) -> str | None:
        ref, place = self._built.get(id(optimizer), (None, None))
        return places.model_named(place) if ref is not None and ref() is optimizer else None

    def _end(self, training: Training, error: BaseException | None = None) -> None:
        """Its last words; trial trainings of all runs share one budget."""
        recorder = training.recorder
        self._open.remove(training)
        recorder.controls_s, began = self.controls_s, time.perf_counter()
        training.close(error)
        self.controls_s = max(0.0, self.controls_s - (time.perf_counter() - began))
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
        self._made = self._latest = self._fetched = self._scaled = self._closure = None
        self._suspect = None
        self._calls, self._losses, self._first = [], [], None
        self._called.clear()
        self._built.clear()

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            say(text)
